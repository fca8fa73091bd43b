;; Writes a line to stdout that never ends, and a write that is longer than the stream takes.
(import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
(memory 1)
(func $run (result i32)
    (local $out i32)
    (local $times i32)
    (memory.fill (i32.const 4096) (i32.const 120) (i32.const 4097))
    (local.set $out (call $stdout))
    (loop $l
        (call $write (local.get $out) (i32.const 4096) (i32.const 4096) (i32.const 256))
        (br_if $l (i32.lt_u (local.tee $times (i32.add (local.get $times) (i32.const 1))) (i32.const 10))))
    (call $write (local.get $out) (i32.const 4096) (i32.const 4097) (i32.const 256))
    unreachable)
