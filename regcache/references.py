"""Parses request targets under ``/v2/``: repository names, tags, digests.

Grammar of the OCI distribution specification 1.1, "Pulling manifests". Everything is read
from the raw request target: a percent-decoded path has lost what it was, so ``%`` is refused
outside the query. Only the colon of a digest may be escaped, as many libraries do it.
"""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from enum import Enum
from urllib.parse import unquote_to_bytes

from regcache.digests import Digest, InvalidDigestError, is_digest
from regcache.errors import DigestInvalidError, NameInvalidError, TagInvalidError
from regcache.light_dataclass import dataclass

MAX_NAME_LENGTH = 255
"""Characters in a repository name (OCI distribution specification, "Pulling manifests")."""
MAX_TARGET_LENGTH = 2048
"""Bytes of a request target: two names, a sha512 digest and a query fit well."""
MAX_QUERY_FIELDS = 16
"""Fields of a query; clients send three at most."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?\Z")
_RELATIVE = frozenset({".", ".."})
_PATH_CHARACTERS = re.compile(r"[A-Za-z0-9._:/~!$&'()*+,;=@-]*\Z")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_COLON = re.compile(r"(/(?:manifests|blobs|referrers)/[a-z0-9]+)%3[Aa]([0-9a-f]+)\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class TargetKind(Enum):
    """What a target is about, by its tail, since repository names contain slashes."""

    PING = "ping"
    MANIFEST = "manifest"
    BLOB = "blob"
    TAGS = "tags"
    REFERRERS = "referrers"
    CATALOG = "catalog"
    UPLOAD = "upload"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Target:
    """A request target that keeps to the grammar.

    :ivar path: e.g. ``/v2/library/alpine/manifests/3.20``; as sent, but for an escaped colon.
    :ivar name: the repository as named in the path; its first component may be a registry.
    :ivar reference: tag or digest, or "".
    :ivar query: the decoded query; every field with all its values.
    """

    kind: TargetKind
    path: str = ""
    _: KW_ONLY
    name: str = ""
    reference: str = ""
    query: Mapping[str, list[str]] = field(default_factory=dict)


def is_repository_name(text: str) -> bool:
    """Whether a text keeps to the grammar of repository names and their length."""
    return len(text) <= MAX_NAME_LENGTH and _NAME.match(text) is not None


def is_tag(text: str) -> bool:
    """Whether a text keeps to the grammar of tags."""
    return _TAG.match(text) is not None


def looks_like_registry(component: str) -> bool:
    """Whether a first path component is meant as a registry: ``.``, ``:`` or ``localhost``."""
    return "." in component or ":" in component or component.lower() == "localhost"


def parse_target(raw_uri: bytes) -> Target:
    """Read a request target in origin form, exactly as it came.

    The absolute form (RFC 9112, 3.2.2) is refused: :mod:`regcache.web.request_target` resolves it.

    :raises NameInvalidError: for a target or repository name that breaks the grammar.
    :raises TagInvalidError: for a bad tag.
    :raises DigestInvalidError: for a bad digest.
    """
    if len(raw_uri) > MAX_TARGET_LENGTH:
        raise NameInvalidError("the request target is too long")
    try:
        text = raw_uri.decode("ascii")
    except UnicodeDecodeError:
        raise NameInvalidError("the request target has characters that are not ASCII") from None
    path, _, query = text.partition("?")
    path = _ESCAPED_COLON.sub(r"\1:\2", path)
    _check_path(path)
    return _classify(path, parse_query(query))


def parse_query(text: str) -> dict[str, list[str]]:
    """Read a query strictly. ``+`` stays a plus: media types have one, no value has a space.

    :raises NameInvalidError: for broken escapes, control characters or too many fields.
    """
    if not text:
        return {}
    parts = text.split("&")
    if len(parts) > MAX_QUERY_FIELDS:
        raise NameInvalidError("the query has too many fields")
    fields: dict[str, list[str]] = {}
    for part in parts:
        key, _, value = part.partition("=")
        if part:
            fields.setdefault(_unquote(key), []).append(_unquote(value))
    return fields


def _unquote(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise NameInvalidError("the query has a broken percent escape")
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise NameInvalidError("the query is not UTF-8") from None
    if _CONTROL.search(decoded):
        raise NameInvalidError("the query has control characters")
    return decoded


def _check_path(path: str) -> None:
    if not path.startswith("/"):
        raise NameInvalidError("the request target must begin with a slash")
    if not _PATH_CHARACTERS.match(path):
        raise NameInvalidError("the path has characters that no name may have")
    if "//" in path:
        raise NameInvalidError("the path has an empty component")
    if not _RELATIVE.isdisjoint(path.split("/")):
        raise NameInvalidError("the path has a relative component")


def _classify(path: str, query: dict[str, list[str]]) -> Target:
    if path in ("/v2", "/v2/"):
        return Target(TargetKind.PING, path, query=query)
    if not path.startswith("/v2/"):
        return Target(TargetKind.OTHER, path, query=query)
    if path == "/v2/_catalog":
        return Target(TargetKind.CATALOG, path, query=query)
    kind, name, reference = _split(path.removeprefix("/v2/").split("/"))
    if kind is not TargetKind.OTHER:
        _check_name(name)
        _check_reference(kind, reference)
    return Target(kind, path, name=name, reference=reference, query=query)


_BY_PARENT = {
    "manifests": TargetKind.MANIFEST,
    "blobs": TargetKind.BLOB,
    "referrers": TargetKind.REFERRERS,
}


def _split(parts: list[str]) -> tuple[TargetKind, str, str]:
    """The kind, the name and the reference, decided from the end of the path."""
    tail = parts[-2:]
    if tail == ["tags", "list"]:
        return TargetKind.TAGS, "/".join(parts[:-2]), ""
    if tail == ["blobs", "uploads"]:
        return TargetKind.UPLOAD, "/".join(parts[:-2]), ""
    if parts[-3:-1] == ["blobs", "uploads"]:
        return TargetKind.UPLOAD, "/".join(parts[:-3]), ""
    if len(parts) >= 2 and parts[-1] and parts[-2] in _BY_PARENT:
        return _BY_PARENT[parts[-2]], "/".join(parts[:-2]), parts[-1]
    return TargetKind.OTHER, "", ""


def _check_name(name: str) -> None:
    """The whole name, or what follows a registry, keeps to the grammar."""
    if is_repository_name(name):
        return
    first, _, rest = name.partition("/")
    if (
        looks_like_registry(first)
        and len(first) <= MAX_NAME_LENGTH
        and _REGISTRY.match(first)
        and (not rest or is_repository_name(rest))
    ):
        return
    raise NameInvalidError("the repository name breaks the grammar, or is too long")


def _check_reference(kind: TargetKind, reference: str) -> None:
    if kind in (TargetKind.BLOB, TargetKind.REFERRERS) or (
        kind is TargetKind.MANIFEST and is_digest(reference)
    ):
        try:
            Digest.parse(reference)
        except InvalidDigestError as error:
            raise DigestInvalidError(str(error)) from None
    elif kind is TargetKind.MANIFEST and not is_tag(reference):
        raise TagInvalidError("the tag breaks the grammar")
