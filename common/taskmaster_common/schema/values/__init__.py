"""Decodes values: one decoder for each kind of key, and the section `groups:`."""
