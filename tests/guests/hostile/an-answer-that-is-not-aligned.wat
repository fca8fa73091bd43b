;; Ends with a result at an odd address.
(memory 1)
(func $run (result i32) (i32.const 257))
