"""Secrets that are made here: passwords, robot keys, labels of hosts, links."""

import hashlib
import secrets

import bcrypt

from regcache.seats import HASH_PREFIX

#: How slow a hash is to be checked: about 50 ms.
COST = 10
#: Letters and digits that nobody takes for others.
_READABLE = "abcdefghijkmnpqrstuvwxyz23456789"
_PASSWORD_LENGTH, _LABEL_LENGTH = 20, 10


def new_password() -> str:
    """A password of 100 random bits, in groups that people can read to each other."""
    letters = [secrets.choice(_READABLE) for _ in range(_PASSWORD_LENGTH)]
    return "-".join("".join(letters[at : at + 5]) for at in range(0, _PASSWORD_LENGTH, 5))


def new_key() -> str:
    """A robot key of 256 random bits."""
    return f"rc_{secrets.token_urlsafe(32)}"


def new_label() -> str:
    """The label of a seat's host: 50 random bits; it begins with a letter, so it is no number."""
    first = secrets.choice(_READABLE[:24])
    return first + "".join(secrets.choice(_READABLE) for _ in range(_LABEL_LENGTH - 1))


def new_link_secret() -> str:
    """The secret of a link, of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """As a file of seats has it."""
    return HASH_PREFIX + hashlib.sha256(secret.encode()).hexdigest()


def bcrypt_of(password: str) -> str:
    """The bcrypt hash of a password. Takes as long as a check: not for the reactor's thread."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode("ascii")
