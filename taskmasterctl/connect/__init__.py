"""Finding the daemon, trusting it, talking to it."""
