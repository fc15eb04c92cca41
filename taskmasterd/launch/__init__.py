"""The launcher, from the command line to the exec of the resident daemon: options, checks, the background."""
