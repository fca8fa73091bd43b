;; Ends with what is neither a success nor a failure.
(memory 1)
(data (i32.const 0x100) "\02")
(func $run (result i32) (i32.const 0x100))
