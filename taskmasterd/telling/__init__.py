"""What the daemon reports unasked: to the event log, to subscribers, and to systemd."""
