"""The configuration file: read, checked as a whole, and given as plain values."""
