"""The process that watches files. It belongs to the daemon, and imports nothing of it."""
