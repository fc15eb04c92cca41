"""Reaching what runs: sending input to programs."""
