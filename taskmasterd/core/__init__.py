"""The decisions, all of them pure: what a process does next, what a reload changes, who waits for what."""
