"""Accounts for tests: hashes that cost as little as bcrypt allows."""

import base64

import bcrypt

from regcache.access.credentials import Asker, ClientCertificate

#: Where most requests of the tests come from.
HOME = "192.0.2.7"
HOST = "docker.example.com"


def hashed(password: str) -> bytes:
    """The hash of a password."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4))


def htpasswd(*names: str) -> str:
    """A file of accounts, each of which has its name for a password."""
    return "".join(f"{each}:{hashed(each).decode()}\n" for each in names)


def basic(name: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def asker(
    authorization: str | None = None,
    *,
    address: str | None = HOME,
    host: str = HOST,
    certificate: ClientCertificate | None = None,
) -> Asker:
    """Somebody who asks."""
    return Asker(authorization, address, host, certificate)
