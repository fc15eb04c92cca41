"""Reading of other formats: files within bounds, INI, YAML, variables, and their options one by one."""
