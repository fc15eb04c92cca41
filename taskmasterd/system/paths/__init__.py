"""Paths that are judged and used as one thing."""
