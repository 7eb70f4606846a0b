"""Pages of lists of repositories, from their summaries."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regcache.identity import Repository, UpstreamIdentity
from regcache.images import (
    RepositoryPage,
    RepositoryPlatform,
    RepositoryQuery,
    RepositorySummary,
    SummariesMade,
)
from regcache.store.catalogue_pins import View
from regcache.store.catalogue_summaries import values_of
from regcache.store.identities import find_names
from regcache.store.index_pulls import series

MOST_LOOKED_AT = 20_000
"""Rows that one page looks at for a caller who sees few of them. The next page goes on there."""

_COLUMNS = {
    "name": "r.upstream || '/' || r.name",
    "size": "s.stored",
    "last_used": "ifnull(s.last_used, 0)",
    "pulls": "s.pulls",
    "tags": "s.tags",
}
_FROM = "FROM summaries s JOIN repositories r ON r.id = s.repository_id"
_ROW = """
SELECT r.upstream, r.name, r.closed_since, s.tags, s.stored, s.own, s.last_used, s.pinned, s.details
"""
_HAS_TAG = """
EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = r.id
    AND t.tag >= :tag AND t.tag < :tag || char(1114111))
"""
_UNMADE = """
SELECT count(*) FROM outdated o JOIN repositories r ON r.id = o.repository_id
WHERE r.upstream IN ({among})
    AND NOT EXISTS (SELECT 1 FROM summaries s WHERE s.repository_id = o.repository_id)
"""


def keys_of(
    connection: sqlite3.Connection, upstreams: Sequence[UpstreamIdentity]
) -> dict[str, str]:
    """The configured names of upstreams, by their keys in the index."""
    return {find_names(connection, Repository(each, ""))[0]: each.name for each in upstreams}


def page(connection: sqlite3.Connection, query: RepositoryQuery, now: float) -> RepositoryPage:
    """A page of repositories of which something is cached."""
    keys = keys_of(connection, query.upstreams)
    where, names = _conditions(query, keys)
    total = None
    if query.visible is None:
        (total,) = connection.execute(f"SELECT count(*) {_FROM} WHERE {where}", names).fetchone()
    column = _COLUMNS[query.sort]
    sign, order = ("<", "DESC") if query.descending else (">", "ASC")
    if query.after is not None:
        where += f" AND ({column}, r.id) {sign} (:after, :number)"
        names |= {"after": query.after[0], "number": query.after[1]}
    rows = connection.execute(
        f"SELECT {column}, r.id, r.upstream, r.name {_FROM} WHERE {where}"
        f" ORDER BY 1 {order}, r.id {order} LIMIT :most",
        {**names, "most": query.limit + 1 if query.visible is None else MOST_LOOKED_AT},
    )
    chosen, after = _choose(rows, query, keys)
    found = [_read(connection, number, keys, now) for number in chosen]
    missing = None if query.visible else _missing(connection, keys)
    return RepositoryPage([each for each in found if each is not None], after, total, missing)


def _missing(connection: sqlite3.Connection, keys: Mapping[str, str]) -> SummariesMade | None:
    """How many summaries there are while some were never made, as those of a new index."""
    among = ", ".join("?" * len(keys))
    (unmade,) = connection.execute(_UNMADE.format(among=among), list(keys)).fetchone()
    if not unmade:
        return None
    (count,) = connection.execute(
        f"SELECT count(*) FROM repositories WHERE upstream IN ({among})", list(keys)
    ).fetchone()
    return SummariesMade(count - unmade, count)


def _choose(
    rows: Iterator[Any], query: RepositoryQuery, keys: Mapping[str, str]
) -> tuple[list[int], Sequence[object] | None]:
    """The numbers of a page, and where the next one begins."""
    chosen: list[int] = []
    last: Sequence[object] | None = None
    looked_at = 0
    for value, number, upstream, name in rows:
        if len(chosen) >= query.limit:
            return chosen, last
        looked_at += 1
        last = (value, number)
        if query.visible is None or query.visible(keys[upstream], name):
            chosen.append(number)
    return chosen, last if looked_at >= MOST_LOOKED_AT else None


def _conditions(query: RepositoryQuery, keys: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """What follows WHERE, and its values."""
    names: dict[str, Any] = {f"key{place}": key for place, key in enumerate(keys)}
    among = ", ".join(f":{name}" for name in names) or "NULL"
    parts = [f"r.upstream IN ({among})", "(s.stored > 0 OR s.pinned > 0)"]
    text, tag = _split(query.text)
    if text:
        parts.append("instr(r.upstream || '/' || r.name, :text) > 0")
        names["text"] = text.lower()
    if tag is not None:
        parts.append(_HAS_TAG)
        names["tag"] = tag
    if query.partial:
        parts.append("s.partial > 0")
    if query.pinned:
        parts.append("s.pinned > 0")
    return " AND ".join(parts), names


def _split(text: str) -> tuple[str, str | None]:
    """A part of a name, and the beginning of a tag; a port is neither."""
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, None)


def find_summary(
    connection: sqlite3.Connection, repository: Repository, view: View
) -> RepositorySummary | None:
    """The summary of one repository; None where nothing of it is cached."""
    key, name = find_names(connection, repository)
    row = connection.execute(
        "SELECT id, closed_since FROM repositories WHERE upstream = ? AND name = ?", (key, name)
    ).fetchone()
    if row is None:
        return None
    found = _read(connection, row[0], {key: repository.upstream.name}, view.now)
    if found is None:  # it is that new
        values = values_of(connection, row[0], key, view)
        values |= {"series": series(connection, row[0], view.now), "closed_since": row[1]}
        found = _summary(repository.upstream.name, name, values)
    return found if found.stored or found.pinned else None


def _read(
    connection: sqlite3.Connection, number: int, keys: Mapping[str, str], now: float
) -> RepositorySummary | None:
    cursor = connection.execute(f"{_ROW} {_FROM} WHERE r.id = ?", (number,))
    row = cursor.fetchone()
    if row is None:
        return None
    values = dict(zip([column[0] for column in cursor.description], row, strict=True))
    values["series"] = series(connection, number, now)
    return _summary(keys[values["upstream"]], values["name"], values)


def _summary(upstream: str, name: str, values: Mapping[str, Any]) -> RepositorySummary:
    said = json.loads(values["details"])
    return RepositorySummary(
        upstream=upstream,
        name=name,
        tags=values["tags"],
        platforms=[RepositoryPlatform(**each) for each in said["platforms"]],
        absent=said["absent"],
        stored=values["stored"],
        own=values["own"],
        pulls=values["series"],
        last_used=values["last_used"],
        pinned=values["pinned"],
        closed_since=values["closed_since"],
    )
