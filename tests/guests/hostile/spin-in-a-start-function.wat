;; Computes without end before anybody has called it.
(memory 1)
(func $start (loop $l (br $l)))
(start $start)
