;; Waits by WASI for nothing, which would never come.
(import "wasi:io/poll@0.2.12" "poll" (func $poll (param i32 i32 i32)))
(memory 1)
(func $run (result i32) (call $poll (i32.const 0) (i32.const 0) (i32.const 256)) unreachable)
