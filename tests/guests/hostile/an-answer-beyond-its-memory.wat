;; Ends with a result that stands beyond its memory.
(memory 1)
(func $run (result i32) (i32.const -4))
