"""Sockets on which the daemon listens for programs. Imported with the first program that has one."""
