;; Ends, and computes without end when the host says that it has read the result.
(memory 1)
(func $run (result i32) (call $fail (i32.const 0)))
(func $after (loop $l (br $l)))
