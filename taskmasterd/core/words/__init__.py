"""Processes and programs as text and as plain data."""
