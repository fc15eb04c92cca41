"""What the daemon reports by itself: the event log, and systemd."""
