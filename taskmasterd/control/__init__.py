"""Clients: who may connect, what they ask, and how they are answered."""
