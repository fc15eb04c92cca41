"""What the helper executes: it delivers messages and ends. The daemon imports none of it but `protocol` and `secret`."""
