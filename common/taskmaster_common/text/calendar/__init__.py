"""Times at which something is due: the grammar of cron, the next time after a moment, and the clocks of zones. Pure.

The daemon loads this with the first schedule; the client for `runs --cron`.
"""
