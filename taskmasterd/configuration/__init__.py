"""The configuration of the running daemon: read in a child, compared, followed."""
