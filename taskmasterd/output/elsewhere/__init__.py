"""Output that goes to no file: the journal and syslog; imported with the first program that has one."""
