"""The verbs. Each file serves those for which the command table names it, and is imported when one is first asked for."""
