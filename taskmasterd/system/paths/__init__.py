"""Paths that are checked and used in one step, so that nobody can exchange them in between."""
