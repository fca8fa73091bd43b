;; Writes as many lines at once to stdout as one call may have, without end.
;; cpu = "5s"
(import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
    (func $write (param i32 i32 i32 i32)))
(memory 1)
(func $run (result i32)
    (local $out i32)
    (memory.fill (i32.const 4096) (i32.const 10) (i32.const 4096))
    (local.set $out (call $stdout))
    (loop $l (call $write (local.get $out) (i32.const 4096) (i32.const 4096) (i32.const 256)) (br $l))
    unreachable)
