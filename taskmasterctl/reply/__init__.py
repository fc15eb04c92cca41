"""What the daemon answers, as text."""
