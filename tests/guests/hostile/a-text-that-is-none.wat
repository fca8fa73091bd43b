;; Hands the host bytes as a text that are no UTF-8.
(import "sublane:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(memory 1)
(data (i32.const 0x100) "\c0\af\ff")
(func $run (result i32) (call $write (i32.const 2) (i32.const 0x100) (i32.const 3)) unreachable)
