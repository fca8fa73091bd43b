;; Ends with a failure of three megabytes.
(memory 64)
(func $run (result i32) (call $fail (i32.const 3145728)))
