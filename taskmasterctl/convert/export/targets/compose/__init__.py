"""Export to Compose: a service for each program. Pure. Source: the Compose specification."""
