;; Draws random bytes without end, 64 KiB each time, and lets the host place them where it has placed all others.
(import "sublane:plugin/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(memory 4)
(func $realloc (param i32 i32 i32 i32) (result i32) (i32.const 0x10000))
(func $run (result i32) (loop $l (call $bytes (i32.const 65536) (i32.const 256)) (br $l)) unreachable)
