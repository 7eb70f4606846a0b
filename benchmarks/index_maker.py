"""An index as large as a cache gets: made once, kept in the build folder."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from regcache.store.index_opening import connect
from regcache.store.index_schema import MIGRATIONS, migrate

REPOSITORIES = 200_000
BLOBS_EACH = 4
"""Per repository, beside one manifest that mentions them: 1,000,000 contents in all."""

_UPSTREAM = "upstream.test"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_THEN = 1_700_000_000.0
_EACH = BLOBS_EACH + 1


def make_index(path: Path, repositories: int = REPOSITORIES) -> Path:
    """Make the index unless it is there for this version of the schema.

    :returns: where it is.
    """
    made = path.with_suffix(f".v{len(MIGRATIONS)}.{repositories}{path.suffix}")
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        temporary = made.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with closing(connect(str(temporary), create=True)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            migrate(connection)
            _fill(connection, repositories)
        os.replace(temporary, made)
    return made


def _fill(connection: sqlite3.Connection, repositories: int) -> None:
    """Content n belongs to repository n // 5; the first of its five is the manifest."""
    statements = {
        "upstreams (name, key)": [(_UPSTREAM, _UPSTREAM)],
        "repositories (id, upstream, name)": _repositories(repositories),
        "contents (id, digest, size, media_type, public)": _contents(repositories),
        "links (content_id, upstream, repository_id, proved_at, credentials)": _links(repositories),
        "mentions (manifest_id, digest, size, media_type)": _mentions(repositories),
        "shown (repository_id, digest, size, manifest_id)": (
            (manifest // _EACH, digest, size, manifest)
            for manifest, digest, size, _ in _mentions(repositories)
        ),
        "places (content_id, place, size, since, priority)": (
            (number, "disk", size, _THEN, number % 1_000_003 / 1e6)
            for number, _, size, _, _ in _contents(repositories)
        ),
        "uses (content_id, writer, last_use, count)": (
            (number, 1, _THEN + number % 1_000_003, 1.0)
            for number, _, _, _, _ in _contents(repositories)
        ),
        "tags (repository_id, tag, digest, validated_at)": (
            (number, "latest", _digest(number * _EACH), _THEN) for number in _numbers(repositories)
        ),
    }
    connection.execute("BEGIN")
    for target, rows in statements.items():
        marks = ", ".join("?" * (target.count(",") + 1))
        connection.executemany(f"INSERT INTO {target} VALUES ({marks})", rows)
    connection.execute("COMMIT")


def _numbers(repositories: int) -> range:
    return range(1, repositories + 1)


def _digest(number: int) -> bytes:
    return b"\x01" + hashlib.sha256(b"%d" % number).digest()


def _size(number: int) -> int:
    """Small, so that the cache still has room by its own account."""
    return 2000 if number % _EACH == 0 else 1000 + number % 9000


def _repositories(repositories: int) -> Iterator[tuple[object, ...]]:
    return (
        (number, _UPSTREAM, f"team{number % 997}/app{number}") for number in _numbers(repositories)
    )


def _contents(repositories: int) -> Iterator[tuple[object, ...]]:
    for number in range(_EACH, (repositories + 1) * _EACH):
        kind = "" if number % _EACH else _MANIFEST
        yield number, _digest(number), _size(number), kind, 1


def _links(repositories: int) -> Iterator[tuple[object, ...]]:
    return (
        (number, _UPSTREAM, number // _EACH, _THEN, "")
        for number in range(_EACH, (repositories + 1) * _EACH)
    )


def _mentions(repositories: int) -> Iterator[tuple[int, bytes, int, str]]:
    for repository in _numbers(repositories):
        manifest = repository * _EACH
        for number in range(manifest + 1, manifest + _EACH):
            yield manifest, _digest(number), _size(number), _LAYER
