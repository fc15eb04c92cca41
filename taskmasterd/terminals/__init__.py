"""What programs read: the pipes of `stdin: pipe`, and terminals. Imported with the first program that has one."""
