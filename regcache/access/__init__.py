"""Who may do what: accounts, rules, passwords, tokens and sessions."""
