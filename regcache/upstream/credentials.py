"""The credentials for an upstream, and their fingerprints."""

import base64
import hashlib
from dataclasses import field

from regcache.light_dataclass import dataclass

_PURPOSE = b"regcache upstream credentials\0"
_USER_PURPOSE = b"regcache upstream user\0"
_LARGEST_PASSWORD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity with which an upstream is asked.

    :ivar fingerprint: identifies it without revealing it; "" for anonymous.
    """

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    fingerprint: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether there is nothing to log in with."""
        return not self.fingerprint

    def basic(self) -> str:
        """The Authorization header of RFC 7617, in UTF-8."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


ANONYMOUS = Identity()


class FileCredentials:
    """A user name, and a password in a file, which may be replaced at any time.

    When it is called it gives the password that was read last. :meth:`load` reads the file, and
    blocks: call it at the start and, later, in a thread.
    """

    def __init__(self, username: str, path: str) -> None:
        self._username = username
        self.path = path
        self._password: str | None = None

    def __call__(self) -> tuple[str, str] | None:
        """User name and password; None before anything was read."""
        return None if self._password is None else (self._username, self._password)

    def load(self) -> bool:
        """Read the file again. Returns whether the password has changed.

        :raises OSError: if it cannot be read; then the last password stays.
        :raises UnicodeDecodeError: if it is not UTF-8, likewise.
        """
        with open(self.path, encoding="utf-8") as file:
            password = file.read(_LARGEST_PASSWORD).rstrip("\r\n")
        changed = password != self._password
        self._password = password
        return changed


def identity_of(username: str, password: str) -> Identity:
    """The identity of a user name and password."""
    return Identity(username, password, fingerprint(username, password))


def fingerprint(username: str, password: str) -> str:
    """The fingerprint of credentials, in the index: ``<user>.<user and password>``, hashed."""
    name = username.encode()
    both = _hashed(_PURPOSE + len(name).to_bytes(4, "big") + name + password.encode())
    return f"{user_fingerprint(username)}.{both}"


def user_fingerprint(username: str) -> str:
    """The fingerprint of a user, without the password."""
    return _hashed(_USER_PURPOSE + username.encode())


def _hashed(material: bytes) -> str:
    return hashlib.sha256(material).hexdigest()[:16]
