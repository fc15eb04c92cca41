"""What programs may use: limits, nice, processors, OOM score. Imported when the first program has one of these keys."""
