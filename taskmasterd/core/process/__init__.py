"""One process: its states, its events, how it ended."""
