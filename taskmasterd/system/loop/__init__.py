"""The event loop: descriptors, timers, signals, and turns that are shared."""
