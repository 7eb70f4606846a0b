"""Where commands take the password of an account from that a client uses."""

PASSWORD_VARIABLE = "REGCACHE_CLIENT_PASSWORD"
