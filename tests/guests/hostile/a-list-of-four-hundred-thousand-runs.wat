;; Waits for a list of 400,000 runs without an id.
(import "sublane:plugin/subagent@0.1.0" "wait" (func $wait (param i32 i32 i32 i32 i64 i32)))
(memory 60)
(func $run (result i32)
    (call $wait (i32.const 0x1000) (i32.const 400000) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 256))
    unreachable)
