"""Export to systemd: a unit for each program, a template and a target for one with several instances. Pure."""
