;; Has a huge table from its beginning.
(memory 1)
(table 10000000 funcref)
