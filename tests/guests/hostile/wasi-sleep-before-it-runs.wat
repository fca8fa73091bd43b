;; Sleeps by WASI when it is asked what it has.
(import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $in (param i64) (result i32)))
(import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
(memory 1)
(func $list (result i32) (call $block (call $in (i64.const 1000000000))) unreachable)
