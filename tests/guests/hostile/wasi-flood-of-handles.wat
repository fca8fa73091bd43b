;; Takes handles of WASI without end, and gives none back.
(import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
(memory 1)
(func $run (result i32) (loop $l (drop (call $stdout)) (br $l)) unreachable)
