;; Names a level of the log that the contract does not have.
(import "sublane:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(memory 1)
(func $run (result i32) (call $write (i32.const 77) (i32.const 0x100) (i32.const 3)) unreachable)
