"""The daemon: starts, watches and stops the programs of one YAML file."""
