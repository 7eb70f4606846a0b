"""A row for each repository, made of what the index has of it: for lists of all repositories.

Rows are made where the index is read, in steps, and written by the index's thread. While they are
being made, a list has what was made before. See :mod:`regcache.store.catalogue_schema`.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from regcache.images import RepositoryPlatform, Undescribed
from regcache.light_dataclass import dataclass
from regcache.store import index_pulls
from regcache.store.catalogue_contents import KnownManifest, RepositoryContents
from regcache.store.catalogue_freed import FreedContents
from regcache.store.catalogue_members import find_undescribed
from regcache.store.catalogue_pins import ImagePins, View

LASTS = 86_400.0
"""Seconds after which a row is made anew without a reason: no trigger has to be perfect."""

STEP = 0.02
"""Seconds after which a step ends, once the row is made that it has begun."""

MOST_DUE = 64
"""Rows that are made in one step."""

MOST_DESCRIBED = 16
"""Manifests of one repository that are looked into in one step."""

_DUE = """
SELECT o.repository_id, o.changes, r.upstream FROM outdated o
LEFT JOIN repositories r ON r.id = o.repository_id
WHERE o.repository_id NOT IN (SELECT value FROM json_each(?)) LIMIT ?
"""
_OLD = """
SELECT s.repository_id, 0, r.upstream FROM summaries s
LEFT JOIN repositories r ON r.id = s.repository_id
WHERE s.made_at < ? OR s.made_at > ? ORDER BY s.made_at LIMIT ?
"""
_ADD = """
INSERT OR REPLACE INTO summaries
    (repository_id, made_at, last_used, pulls, stored, own, tags, pinned, partial, details)
SELECT :number, :made_at, :last_used, :pulls, :stored, :own, :tags, :pinned, :partial, :details
FROM repositories WHERE id = :number
"""


@dataclass(slots=True, kw_only=True)
class Summary:
    """A row that was made.

    :ivar changes: what was noted of the repository before.
    :ivar values: of the row; None where there is no such repository.
    :ivar undescribed: some of its manifests of which more can be known.
    :ivar seconds: that it took.
    """

    number: int
    changes: int
    values: dict[str, Any] | None
    undescribed: Sequence[Undescribed] = ()
    seconds: float = 0.0


def make_some(connection: sqlite3.Connection, view: View, resting: Iterable[int]) -> list[Summary]:
    """Make some of the rows that are due; none if none is.

    :param resting: repositories whose turn it is not yet.
    """
    now, end = view.now, time.perf_counter() + STEP
    rows = connection.execute(_DUE, (json.dumps(list(resting)), MOST_DUE)).fetchall()
    rows = rows or connection.execute(_OLD, (now - LASTS, now + LASTS, MOST_DUE)).fetchall()
    made: list[Summary] = []
    for number, changes, upstream in rows:
        began = time.perf_counter()
        values = None if upstream is None else values_of(connection, number, upstream, view)
        more = find_undescribed(connection, number, MOST_DESCRIBED) if values else ()
        seconds = time.perf_counter() - began
        made.append(
            Summary(
                number=number, changes=changes, values=values, undescribed=more, seconds=seconds
            )
        )
        if time.perf_counter() > end:
            break
    return made


def write(connection: sqlite3.Connection, made: Iterable[Summary]) -> None:
    """Keep rows. One that became due again meanwhile stays due."""
    for each in made:
        connection.execute(
            "DELETE FROM outdated WHERE repository_id = ? AND changes = ?",
            (each.number, each.changes),
        )
        if each.values is not None:
            connection.execute(_ADD, {"number": each.number, **each.values})


def platform_state(contents: RepositoryContents, key: bytes) -> tuple[int, int | None, bool]:
    """What is here of one image: bytes here, all bytes (None if unknown), and is it complete?"""
    found = contents.manifest(key)
    if found is None or not found.here:
        return 0, None, False
    parts = found.listed
    here = (found.stored or 0) + sum(each.size for each in parts if each.here)
    if not found.whole:
        return here, None, False
    size = (found.stored or 0) + sum(each.size for each in parts)
    return here, size, all(each.here for each in parts)


def values_of(
    connection: sqlite3.Connection, number: int, upstream: str, view: View
) -> dict[str, Any]:
    """The row of a repository, as it is now."""
    contents = RepositoryContents(connection, number, upstream)
    pins = ImagePins(connection, number, view.patterns)
    tags = contents.tags()
    tagged = {key for _, key, _ in tags}
    tops = [key for _, key, _ in tags] + contents.untagged()
    stored = contents.contents({*tagged, *contents.all_manifests()})
    freed = FreedContents(contents)
    own = freed.goes_whole(tagged, contents.all_manifests())
    for key, blob, size in contents.loose():
        stored[key] = size
        if key not in own and freed.is_alone(key, blob):
            own[key] = size
    platforms, absent = _platforms(contents, tops)
    details = {"platforms": [asdict(each) for each in platforms], "absent": absent}
    manifests = [found for key in {*tops} if (found := contents.manifest(key))]
    return {
        "made_at": view.now,
        "pulls": sum(index_pulls.series(connection, number, view.now)),
        "last_used": _last_use(manifests),
        "stored": sum(stored.values()),
        "own": sum(size for key, size in own.items() if key in stored),
        "tags": len(tags),
        "pinned": sum(pins.by(tag, key) is not None for tag, key, _ in tags),
        "partial": sum(each.partial for each in platforms),
        "details": json.dumps(details),
    }


def _last_use(manifests: Sequence[KnownManifest]) -> float | None:
    return max((each.last_use for each in manifests if each.last_use is not None), default=None)


@dataclass(slots=True)
class _Counted:
    """One platform while it is being counted."""

    complete: int = 0
    partial: int = 0


def _platforms(
    contents: RepositoryContents, tops: Sequence[bytes]
) -> tuple[list[RepositoryPlatform], int]:
    """The platforms of which something is here, and how many there are of which nothing is."""
    counted: dict[str, _Counted] = {}
    bytes_of: dict[str, dict[bytes, tuple[int, bool]]] = {}
    for top in tops:
        if contents.manifest(top) is None:
            continue
        for member in contents.images(top):
            here, _, complete = platform_state(contents, member.key)
            one = counted.setdefault(member.platform, _Counted())
            one.complete += complete
            one.partial += here > 0 and not complete
            _add_sizes(contents, member.key, bytes_of.setdefault(member.platform, {}))
    present = {name: one for name, one in counted.items() if one.complete or one.partial}
    found = [
        RepositoryPlatform(
            platform=name,
            here=sum(size for size, here in bytes_of[name].values() if here),
            size=sum(size for size, _ in bytes_of[name].values()),
            complete=one.complete,
            partial=one.partial,
        )
        for name, one in sorted(present.items())
    ]
    return found, len(counted) - len(present)


def _add_sizes(
    contents: RepositoryContents, key: bytes, sizes: dict[bytes, tuple[int, bool]]
) -> None:
    found = contents.manifest(key)
    if found is None or not found.here:
        return
    sizes[key] = (found.stored or 0, True)
    for each in found.listed:
        sizes[each.key] = (each.size, each.here)
