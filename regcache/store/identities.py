"""The identities of upstreams in the index, and the keys under which it keeps their facts.

A key is the upstream's name. If several upstreams had that name, the second and all further ones
have a number after it. An upstream takes over the key of an earlier one if it continues that one
(:meth:`UpstreamIdentity.continues`); else it gets a new key. The facts under the old key stay,
in case the configuration is changed back.
"""

import json
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from regcache.identity import Repository, UpstreamIdentity

KNOWN = "SELECT key, identity FROM upstreams WHERE name = ? ORDER BY number"

CERTAIN = """
k.name = :name AND k.identity = :identity AND NOT EXISTS (
    SELECT 1 FROM upstreams o WHERE o.name = k.name AND o.number != k.number)
"""
"""For a row ``k`` of ``upstreams``: it is the only one of its name, and of just this upstream."""

NOBODY = ""
"""A key under which nothing is kept."""


def describe(upstream: UpstreamIdentity) -> dict[str, Any]:
    """An identity as JSON."""
    return {
        "name": upstream.name,
        "urls": list(upstream.urls),
        "users": sorted(upstream.users),
        "serve_private": upstream.serve_private,
    }


def understand(document: Any) -> UpstreamIdentity:
    """The identity in such JSON. :raises ValueError: if there is none."""
    if not isinstance(document, dict):
        raise ValueError("not an object")
    name, serve_private = document.get("name"), document.get("serve_private")
    urls, users = document.get("urls"), document.get("users")
    if not (isinstance(name, str) and isinstance(serve_private, bool)):
        raise ValueError("no name, or no serve_private")
    if not (isinstance(urls, list) and isinstance(users, list)):
        raise ValueError("no urls, or no users")
    if not all(isinstance(text, str) for text in (*urls, *users)):
        raise ValueError("urls and users are texts")
    return UpstreamIdentity(name, tuple(urls), frozenset(users), serve_private)


def predecessor(upstream: UpstreamIdentity, known: Sequence[UpstreamIdentity | None]) -> int | None:
    """The number of the upstream with the same name that this one continues.

    :param known: in the order in which they came; None for one of which only the name is known.
    """
    goes_on = None
    for place, earlier in enumerate(known):
        if earlier == upstream:
            return place
        if earlier is None or upstream.continues(earlier):
            goes_on = place
    return goes_on


def find_names(connection: sqlite3.Connection, repository: Repository) -> tuple[str, str]:
    """The key of a repository's upstream, and its name. Without a key, one that is not in use."""
    known = connection.execute(KNOWN, (repository.upstream.name,)).fetchall()
    place = _place(repository.upstream, known)
    return (NOBODY if place is None else known[place][0], repository.name)


def certain_names(repository: Repository) -> dict[str, str]:
    """What :data:`CERTAIN` needs, and the name of a repository as ``:repository``.

    Nearly always there is such a row. Then a statement finds the key by itself: each further one
    waits several times for the interpreter's lock.
    """
    upstream = repository.upstream
    return {"name": upstream.name, "identity": _text(upstream), "repository": repository.name}


def note_names(connection: sqlite3.Connection, repository: Repository) -> tuple[str, str]:
    """The same for a repository that something is to be kept of: its upstream gets a key."""
    upstream = repository.upstream
    known = connection.execute(KNOWN, (upstream.name,)).fetchall()
    place = _place(upstream, known)
    if place is None:
        key = f"{upstream.name}#{len(known) + 1}" if known else upstream.name
        connection.execute(
            "INSERT INTO upstreams (key, name, identity) VALUES (?, ?, ?)",
            (key, upstream.name, _text(upstream)),
        )
        return (key, repository.name)
    key, text = known[place]
    if text != _text(upstream):
        connection.execute(
            "UPDATE upstreams SET identity = ? WHERE key = ?", (_text(upstream), key)
        )
    return (key, repository.name)


def _place(upstream: UpstreamIdentity, known: list[tuple[str, str | None]]) -> int | None:
    if len(known) == 1 and known[0][1] == _text(upstream):
        return 0  # nearly always
    return predecessor(upstream, [_read(upstream.name, text) for _, text in known])


@lru_cache(maxsize=256)
def _text(upstream: UpstreamIdentity) -> str:
    return json.dumps(describe(upstream))


@lru_cache(maxsize=256)
def _read(name: str, text: str | None) -> UpstreamIdentity | None:
    """The identity in a row. One that cannot be read is an upstream that no other continues."""
    if text is None:
        return None
    try:
        return understand(json.loads(text))
    except (ValueError, RecursionError):
        return UpstreamIdentity(name, ("",), frozenset([""]), serve_private=True)
