;; Asks WASI for as many random bytes as there are numbers.
(import "wasi:random/random@0.2.12" "get-random-bytes" (func $bytes (param i64 i32)))
(memory 1)
(func $run (result i32) (call $bytes (i64.const -1) (i32.const 256)) unreachable)
