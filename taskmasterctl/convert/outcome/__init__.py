"""A Taskmaster configuration that is being made, and its text. Pure."""
