"""`alerts:` -> rules: what they are about, and where they send it."""
