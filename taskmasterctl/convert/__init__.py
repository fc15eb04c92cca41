"""`import` and `export`: configurations of other supervisors. Loaded by these two verbs alone; runs nothing, opens no socket."""
