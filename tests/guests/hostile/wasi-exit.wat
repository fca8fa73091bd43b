;; Ends the process by WASI, as if all had gone well.
(import "wasi:cli/exit@0.2.12" "exit" (func $exit (param i32)))
(memory 1)
(func $run (result i32) (call $exit (i32.const 0)) unreachable)
