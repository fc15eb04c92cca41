"""Descriptors that have to outlive the daemon, in a process of their own: the keeper."""
