;; Waits for 1,000 runs whose ids are one text of 60 KiB: small in its memory, large in the host's.
(import "sublane:plugin/subagent@0.1.0" "wait" (func $wait (param i32 i32 i32 i32 i64 i32)))
(memory 2)
(func $run (result i32) (local $n i32)
    (loop $l
        (i32.store offset=0x10000 (i32.mul (local.get $n) (i32.const 8)) (i32.const 0))
        (i32.store offset=0x10004 (i32.mul (local.get $n) (i32.const 8)) (i32.const 60000))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 1000))))
    (call $wait (i32.const 0x10000) (i32.const 1000) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 256))
    unreachable)
