"""One package or module for each kind of configuration that can be imported."""
