"""State: tables, the status machine, queries and migrations; the tables are the truth, the broker a hint."""
