"""`export`: from the configuration to files of another tool."""
