"""The state on the disk: a file of lines, written as things change, read back by the next daemon."""
