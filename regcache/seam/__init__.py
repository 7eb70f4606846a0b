"""The only place that touches private parts of Twisted and pyOpenSSL.

Each module has one such touch. Its docstring says what is private, why it is needed, and what
would replace it; its test runs against both ends of the supported range of Twisted.
"""
