;; Has many tables that are small each.
(memory 1)
(table 9000 funcref) (table 9000 funcref) (table 9000 funcref) (table 9000 funcref) (table 9000 funcref)
