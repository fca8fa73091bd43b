;; Waits for a list whose bytes are more than 32 bits can count.
(import "sublane:plugin/subagent@0.1.0" "wait" (func $wait (param i32 i32 i32 i32 i64 i32)))
(memory 1)
(func $run (result i32)
    (call $wait (i32.const 0) (i32.const 0x20000001) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 256))
    unreachable)
