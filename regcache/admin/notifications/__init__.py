"""Tells a web address what an operator should know."""
