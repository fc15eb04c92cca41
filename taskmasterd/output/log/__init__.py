"""The log at one path: opened, written, rotated, parked."""
