"""The event loop: descriptors, timers, signals, and turns that several pieces of work share."""
