;; Takes handles of an interface of WASI that is denied without end.
(import "wasi:sockets/instance-network@0.2.12" "instance-network" (func $network (result i32)))
(memory 1)
(func $run (result i32) (loop $l (drop (call $network)) (br $l)) unreachable)
