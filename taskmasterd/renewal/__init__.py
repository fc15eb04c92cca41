"""Restarts that nobody asks for and that are no failures: `recycle`. Imported with the first program that has it."""
