"""What programs write: from their pipes into logs, and read back."""
