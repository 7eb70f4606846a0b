"""The types of paths, and of the files that the configuration names."""

import os
import shlex
import stat
import time
from collections.abc import Callable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from regcache.config.document import Node
from regcache.config.reading import Context, expected
from regcache.config.seats_file import read_seats
from regcache.config.unreadable import why_unreadable
from regcache.config.value_types import Scalar
from regcache.htpasswd import parse_htpasswd
from regcache.renewals import changed_lately
from regcache.token_keys import parse_keys
from regcache.whole_file import MOST_BYTES

MAXIMUM_PASSWORD = 4096
BEING_RENEWED = "it was changed a moment ago, so what was read before stays in use meanwhile"


def read_bounded(path: str, limit: int, if_missing: str = "") -> bytes:
    """The content of a file.

    :param if_missing: what to type where there is none; "" for nothing.
    :raises ValueError: if it cannot be read or is longer than ``limit``; free of content.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(limit + 1)
    except OSError as fault:
        why = why_unreadable(path, fault)
        if if_missing and isinstance(fault, FileNotFoundError):
            why = f"{why}; type: {if_missing}"
        raise ValueError(f"{path} cannot be read: {why}") from None
    if len(content) > limit:
        raise ValueError(f"{path} is larger than {limit} bytes")
    return content


def world_readable(path: str) -> bool:
    """Whether every local user may read a file."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & stat.S_IROTH)


def path() -> Scalar[str]:
    """A path, made absolute from the folder of the configuration file."""
    return Scalar(_path, "path")


def _path(node: Node, context: Context) -> str:
    if node.kind != "text":
        raise expected("text", node)
    if not node.value.strip():
        raise ValueError("may not be empty")
    return os.path.normpath(os.path.join(context.directory, node.value))


def readable(check: Callable[[bytes], object] | None = None) -> Scalar[str]:
    """A path of a file that can be read now; ``check`` gets its content, raises ValueError."""

    def parse(node: Node, context: Context) -> str:
        found = _path(node, context)
        content = read_bounded(found, MOST_BYTES)
        if check is not None:
            try:
                check(content)
            except ValueError as fault:
                raise ValueError(f"{found} {fault}") from None
        return found

    return Scalar(parse, "file")


def certificate_file(check: Callable[[bytes], object]) -> Scalar[str]:
    """The same for a file of a certificate; while that is being renewed it need not be right."""
    strict = readable(check)

    def parse(node: Node, context: Context) -> str:
        try:
            return strict.parse(node, context)
        except ValueError as fault:
            found = _path(node, context)
            if not is_renewed(context, found):
                raise
            context.problems.warn(node.line, node.path, f"{fault}: {BEING_RENEWED}")
            return found

    return Scalar(parse, "file")


def is_renewed(context: Context, *paths: str) -> bool:
    """Whether some files are in use, and one of them was changed a moment ago."""
    return context.in_use.issuperset(paths) and changed_lately(paths, time.time())


def accounts_file() -> Scalar[str]:
    """A path of a htpasswd file that can be used now; an error in it has its line."""

    def parse(node: Node, context: Context) -> str:
        found = _path(node, context)
        content = read_bounded(found, MOST_BYTES, _to_make_accounts(found))
        parse_htpasswd(_utf8(content), found)
        return found

    return Scalar(parse, "file")


def _to_make_accounts(path: str) -> str:
    """What to type where there is no such file."""
    folder = os.path.dirname(path)
    first = "" if os.path.isdir(folder) else f"mkdir -p {shlex.quote(folder)} && "
    return f"{first}regcachectl passwd {shlex.quote(path)} NAME"


def seats_file() -> Scalar[str]:
    """A path of a file of seats that can be used now, or is missing: then it is made later."""

    def parse(node: Node, context: Context) -> str:
        found = _path(node, context)
        if os.path.lexists(found):
            read_seats(read_bounded(found, MOST_BYTES), found)
        return found

    return Scalar(parse, "file")


def token_keys_file() -> Scalar[str]:
    """A path of a file with public keys that can be used now."""

    return readable(lambda content: parse_keys(_utf8(content)))


def _utf8(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8") from None


def read_password(content: bytes) -> str:
    """A password as a file holds it: one line, without the line break at its end.

    :raises ValueError: if it is empty, too long, or holds control characters.
    """
    try:
        password = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if not password:
        raise ValueError("holds no password")
    if len(password) > MAXIMUM_PASSWORD:
        raise ValueError("holds more than a password")
    if any(ord(c) < 32 or ord(c) == 127 for c in password):
        raise ValueError("holds more than one line, or control characters")
    return password


def load_certificates(content: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one.

    :raises ValueError: if there is none.
    """
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise ValueError("holds no valid PEM certificate") from None


def check_key(content: bytes) -> None:
    """Check that a PEM file holds a private key without a passphrase."""
    _load_public(content)


def _load_public(content: bytes) -> bytes:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:
        raise ValueError("is encrypted; a key without a passphrase is needed") from None
    except Exception:  # noqa: BLE001 - what a broken key raises depends on the library's version
        raise ValueError("holds no valid PEM private key") from None
    return _public_bytes(key.public_key())


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def check_pair(chain: str, key: str) -> str | None:
    """Why a chain and a key do not belong together; None if they do.

    A renewal writes one after the other, so a reload may want to wait and ask again.
    """
    try:
        leaf = load_certificates(read_bounded(chain, MOST_BYTES))[0]
        public = _load_public(read_bounded(key, MOST_BYTES))
    except ValueError as fault:
        return str(fault)
    if _public_bytes(leaf.public_key()) != public:
        return f"{key} is not the key of the first certificate in {chain}"
    return None


def end_of(chain: str) -> datetime:
    """When the first certificate expires, UTC.

    :raises ValueError: if it cannot be read.
    """
    leaf = load_certificates(read_bounded(chain, MOST_BYTES))[0]
    return leaf.not_valid_after_utc


def covered_names(chain: str) -> set[str]:
    """The DNS names and addresses in the first certificate, lower case."""
    leaf = load_certificates(read_bounded(chain, MOST_BYTES))[0]
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    found = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    return found | {str(address) for address in names.get_values_for_type(x509.IPAddress)}
