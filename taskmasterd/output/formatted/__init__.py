"""Logs with `log_format`: each line with its time, or as a JSON object; imported with the first program that has one.

The kernel moves what a program writes to the end of a *spool*, a file in the runtime directory, one for each pipe and named by
its inode. From there whole lines are formatted and appended to the log, and then the head of the spool says how far it is done,
and where the log ended. If the daemon dies between the two, the next one cuts the log back to the greatest length that a head
names for it, and does the rest again. So each byte is in the log once, and never only in the daemon.
"""
