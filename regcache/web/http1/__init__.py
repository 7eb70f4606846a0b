"""HTTP/1.1: connections that carry one request after another."""
