;; Calls itself without end before anybody has called it.
(memory 1)
(func $start (call $start))
(start $start)
