;; Reads from a stream and waits for a pollable that nobody gave it.
(import "wasi:io/poll@0.2.12" "[method]pollable.ready" (func $ready (param i32) (result i32)))
(import "wasi:io/streams@0.2.12" "[method]input-stream.read" (func $read (param i32 i64 i32)))
(memory 1)
(func $run (result i32)
    (call $read (i32.const 1) (i64.const 1) (i32.const 256))
    (drop (call $ready (i32.const 1)))
    unreachable)
