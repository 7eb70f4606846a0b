"""The operator command, regcachectl."""
