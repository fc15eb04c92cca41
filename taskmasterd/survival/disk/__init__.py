"""The state on the disk: a file of lines that the daemon appends to with each change, and the next daemon reads."""
