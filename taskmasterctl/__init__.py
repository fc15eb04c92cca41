"""The client: says to the daemon what somebody typed and shows what it answers. It knows nothing of how the daemon works."""
