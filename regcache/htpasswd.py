"""The htpasswd file: accounts and the bcrypt hashes of their passwords."""

import re
from collections.abc import Mapping

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}\Z")
#: What bcrypt looks at of a password (bytes).
LONGEST_PASSWORD = 72
#: In a rule: everybody, with an account or not.
ANYBODY = "anonymous"
#: In a rule: everybody who has an account.
EVERY_ACCOUNT = "*"
_RESERVED = frozenset({ANYBODY, EVERY_ACCOUNT})


class HtpasswdError(ValueError):
    """The file cannot be used; the text is ``file:line: why`` and says what to change."""


def parse_htpasswd(text: str, path: str) -> Mapping[str, bytes]:
    """The accounts of a file, and their hashes.

    Empty lines and those that begin with ``#`` are passed over.

    :raises HtpasswdError: naming the first line that is wrong, never a hash.
    """
    accounts: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            name, value = _entry(line, f"{path}:{number}")
            if name in accounts:
                raise HtpasswdError(f"{path}:{number}: the account {name!r} stands twice")
            accounts[name] = value
    return accounts


def is_account_name(name: str) -> bool:
    """Whether an account may have a name, as far as its letters go."""
    return bool(name) and ":" not in name and name not in _RESERVED and name.isprintable()


def is_bcrypt(text: str) -> bool:
    """Whether a text is a bcrypt hash."""
    return _BCRYPT.match(text) is not None


def _entry(line: str, where: str) -> tuple[str, bytes]:
    name, colon, value = line.partition(":")
    if not colon or not name:
        raise HtpasswdError(f"{where}: is not NAME:HASH")
    if name in _RESERVED or not name.isprintable():
        raise HtpasswdError(f"{where}: {name!r} cannot be the name of an account")
    if not is_bcrypt(value):
        raise HtpasswdError(
            f"{where}: the password of {name!r} is no bcrypt hash;"
            f" make one with: regcachectl passwd FILE {name}"
        )
    return name, value.encode("ascii")
