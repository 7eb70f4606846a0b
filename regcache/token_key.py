"""The key that our own tokens are signed with: a file of 32 random bytes, for us alone."""

import os

#: Bytes of a new key, and the fewest that one may have (RFC 7518, 3.2).
LENGTH = 32
#: The most that is read of a key file.
MOST_BYTES = 4096


class KeyFileError(Exception):
    """The key cannot be read or made; the text is one line that says what to change."""


def load_or_make_key(path: str) -> bytes:
    """The key in a file, which is made with mode 0600 where it is missing.

    :raises KeyFileError: if it is too short, or can be neither read nor made.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        return _make(path)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None


def _load(path: str) -> bytes:
    with open(path, "rb") as file:
        key = file.read(MOST_BYTES)
    if len(key) < LENGTH:
        raise KeyFileError(
            f"{path}: a key has {LENGTH} bytes or more; make one with: head -c 32 /dev/urandom"
        )
    return key


def _make(path: str) -> bytes:
    """Whole or not at all: two daemons that begin together keep the same one."""
    key = os.urandom(LENGTH)
    temporary = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, key)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return _load(path)
        finally:
            os.unlink(temporary)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    return key
