;; Asks WASI which directories it may open: tells how many there are, and opens one that nobody gave it.
(import "wasi:filesystem/preopens@0.2.12" "get-directories" (func $directories (param i32)))
(import "wasi:filesystem/types@0.2.12" "[method]descriptor.open-at"
    (func $open (param i32 i32 i32 i32 i32 i32 i32)))
(memory 1)
(data (i32.const 2048) "/etc/passwd")
(func $run (result i32)
    (call $directories (i32.const 256))
    (if (i32.load (i32.const 260)) (then (return (call $fail (i32.const 0)))))
    (call $open (i32.const 3) (i32.const 0) (i32.const 2048) (i32.const 11) (i32.const 0) (i32.const 1) (i32.const 256))
    unreachable)
