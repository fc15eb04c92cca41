"""Loggers: children that read what programs write (`stdout: '| command'`); loaded with the first program that has one."""
