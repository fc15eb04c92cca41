"""All processes: the table, plans, and who waits for what."""
