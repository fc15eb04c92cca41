"""The ways to ask a process whether it is ready or well."""
