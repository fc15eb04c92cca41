"""Starts, signals and ends of the programs' processes."""
