"""From the command line to a resident daemon: options, checks, the background, and the exec that ends it."""
