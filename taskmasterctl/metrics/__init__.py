"""`metrics`: the state of all processes for Prometheus and what reads its formats."""
