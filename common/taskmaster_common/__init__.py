"""What the daemon and the client share: pure values and text, no effect of any kind."""

__version__ = "1.0.0rc1"
