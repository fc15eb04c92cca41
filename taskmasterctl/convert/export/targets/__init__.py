"""`export`: what each target of it makes of a configuration. Pure, but for `host` and `run`."""
