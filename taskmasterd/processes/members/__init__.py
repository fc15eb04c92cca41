"""Which processes belong to a program, besides its leader."""
