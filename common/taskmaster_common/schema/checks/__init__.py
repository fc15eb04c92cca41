"""Checks of a whole configuration, after each value is decoded."""
