;; Wants 4 GiB of random bytes in one call. It goes on when it is given 64 KiB, which is what it may have.
(import "sublane:plugin/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(memory 4)
(func $realloc (param i32 i32 i32 i32) (result i32) (i32.const 0x10000))
(func $run (result i32)
    (call $bytes (i32.const -1) (i32.const 256))
    (if (i32.ne (i32.load (i32.const 260)) (i32.const 65536)) (then unreachable))
    (call $fail (i32.const 0)))
