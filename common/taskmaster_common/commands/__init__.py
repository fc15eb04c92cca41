"""The verbs: `table` is their grammar, `help` their texts."""
