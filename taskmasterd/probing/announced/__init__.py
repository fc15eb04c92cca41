"""Readiness and health that programs announce themselves, on a descriptor that the daemon made for one slot."""
