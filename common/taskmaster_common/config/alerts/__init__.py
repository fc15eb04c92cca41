"""Alert rules as values: the table of their keys, the record, the words of `events`. Loaded with the first rule only."""
