;; Takes all the memory there is before anybody has called it.
(memory 1)
(func $start (loop $l (drop (memory.grow (i32.const 1))) (br $l)))
(start $start)
