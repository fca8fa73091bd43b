;; Hands the host a text whose end is before its beginning, when it is counted with 32 bits.
(import "sublane:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(memory 1)
(func $run (result i32) (call $write (i32.const 2) (i32.const 16) (i32.const -8)) unreachable)
