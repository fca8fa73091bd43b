;; Calls a function through a table without end, with no loop.
(memory 1)
(type $f (func (result i32)))
(table 1 funcref)
(elem (i32.const 0) $again)
(func $again (type $f) (return_call_indirect (type $f) (i32.const 0)))
(func $run (result i32) (call $again))
