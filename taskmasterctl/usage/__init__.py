"""What processes use: samples that the client takes itself, so that the daemon is never asked for figures."""
