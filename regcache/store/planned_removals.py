"""Works out what many removals have for an effect together, without changing anything.

:func:`regcache.store.index_plans.look` gives the effect of each removal alone, or with a few
others. By that, content that several of them share would stay. Here the tables of
:mod:`regcache.store.index_removal` are followed for one removal after the other, together with what
earlier ones have removed. Each removal begins with its effect alone:

======================  ====================================================================
what was removed        what is checked then
======================  ====================================================================
a right to a manifest   the rights to what it lists, and whether that is needed still
a right to anything     whether its bytes are needed
a manifest's bytes      whether what it lists is needed
a tag                   the right to what it named
======================  ====================================================================

The work is done in short steps, so that other work of the index's thread need not wait.
"""

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, field
from typing import Any

from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.light_dataclass import dataclass
from regcache.plans import PlannedRemoval, PlannedRemovals
from regcache.removals import RemovalEffect, RemovalTarget, RemovedKind
from regcache.store.index_holdings import number_of
from regcache.store.index_schema import digest_from_key, digest_key
from regcache.store.removal_conditions import HAS_RIGHT

STEP = 0.01
"""Seconds after which a step begins nothing more."""

MOST_DEEP, MOST_ABOVE = 4, 1000
"""How many levels of manifests above a content are checked, and how many of each level."""

MOST_READ = 10_000
"""Rows that are read to find one level: many rows may name the same manifest."""

_STORED = """
SELECT c.id, p.size, c.media_type
FROM contents c LEFT JOIN places p ON p.content_id = c.id AND p.place = 'disk'
WHERE c.digest = ?
"""
_LISTS = """
SELECT digest FROM mentions WHERE manifest_id = :manifest
UNION SELECT c.digest FROM referrers r JOIN contents c ON c.id = r.manifest_id
WHERE r.repository_id = :repository AND r.subject = :digest
"""
# Each statement finds rows that may keep a content: first the position in their order, then what
# decides whether they do. They are read one by one, until one keeps the content.
_FROM = "{0} >= :first AND (:end IS NULL OR {0} < :end)"
_LISTERS = "mentions m CROSS JOIN contents c ON c.id = m.manifest_id"
_LISTED = f"m.digest = :digest AND {_FROM.format('m.manifest_id')} ORDER BY m.manifest_id"
_TAGS_HERE = f"""
SELECT tag, tag FROM tags
WHERE digest = :digest AND repository_id = :repository AND {_FROM.format("tag")} ORDER BY tag
"""
_SHOWN_BY = f"""
SELECT s.manifest_id, c.digest FROM shown s CROSS JOIN contents c ON c.id = s.manifest_id
WHERE s.repository_id = :repository AND s.digest = :digest AND {_FROM.format("s.manifest_id")}
"""
_TAGGED_LISTERS = f"""
SELECT m.manifest_id, c.digest, t.tag FROM {_LISTERS}
CROSS JOIN tags t ON t.digest = c.digest AND t.repository_id = :repository
WHERE {_LISTED}
"""
_SHOWN_LISTERS = f"""
SELECT m.manifest_id, c.digest, i.digest FROM {_LISTERS}
CROSS JOIN shown s ON s.repository_id = :repository AND s.digest = c.digest
CROSS JOIN contents i ON i.id = s.manifest_id
WHERE {_LISTED}
"""
_STORED_LISTERS = f"""
SELECT m.manifest_id, c.digest FROM {_LISTERS}
WHERE EXISTS (SELECT 1 FROM places WHERE content_id = c.id) AND {_LISTED}
"""

_ABOVE = f"SELECT c.digest FROM {_LISTERS} WHERE m.digest IN ({{}}) LIMIT ?"
_TAGGED = "SELECT repository_id, tag FROM tags WHERE digest IN ({}) AND +repository_id != ?"
_LINKED = """
SELECT l.repository_id, c.digest FROM contents c CROSS JOIN links l ON l.content_id = c.id
WHERE c.digest IN ({}) AND +l.repository_id != ?
"""
_PINNED = "SELECT 1 FROM pinned WHERE digest = ?"
_PINNED_HERE = "SELECT 1 FROM pins WHERE repository_id = ? AND reference = ?"

_RIGHT, _BELOW, _BYTES = "right", "below", "bytes"
_Task = tuple[str, int, bytes]


@dataclass(slots=True)
class RemovalWork:
    """The removals of a plan. While a step runs this belongs to the index's thread.

    :ivar waiting: all removals, each with its effect alone.
    :ivar taken: how many of them were begun.
    :ivar tasks: what is still to be checked for the present removal.
    :ivar repository: the id of its repository.
    :ivar named: the digest that it names; empty for a tag.
    :ivar ending: the digests to which it ends rights.
    :ivar tags: removed tags: repository ids and names.
    :ivar withdrawn: rights that end: repository ids and digests.
    :ivar gone: contents that leave the disk, and what they take there (bytes of whole blocks).
    :ivar targets: what each removal names: repository id and digest.
    :ivar freed: the bytes that each removal frees after all those before it.
    :ivar done: whether earlier removals have removed already what this one names.
    :ivar keepers: by statement, repository and digest, the row that kept the content last. It is
        read first, since most removals do not change it: else all removed rows would be read again.
    """

    waiting: Sequence[tuple[RemovalTarget, RemovalEffect]]
    _: KW_ONLY
    taken: int = 0
    tasks: deque[_Task] = field(default_factory=deque)
    pending: set[_Task] = field(default_factory=set)
    repository: int = 0
    named: bytes = b""
    ending: set[bytes] = field(default_factory=set)
    tags: set[tuple[int, str]] = field(default_factory=set)
    withdrawn: set[tuple[int, bytes]] = field(default_factory=set)
    gone: dict[bytes, int] = field(default_factory=dict)
    targets: list[tuple[int, bytes]] = field(default_factory=list)
    freed: list[int] = field(default_factory=list)
    done: list[bool] = field(default_factory=list)
    keepers: dict[tuple[str, int, bytes], int | str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether all removals are worked out."""
        return self.taken == len(self.waiting) and not self.tasks

    def add(self, *tasks: _Task) -> None:
        """Add tasks, each of them once."""
        for task in tasks:
            if task not in self.pending:
                self.pending.add(task)
                self.tasks.append(task)

    def goes(self, key: bytes, size: int) -> None:
        """Note that the present removal takes content of so many bytes off the disk."""
        taken = in_blocks(size)
        self.freed[-1] += 0 if key in self.gone else taken
        self.gone[key] = taken

    def result(self) -> PlannedRemovals:
        """The effect of all removals."""
        gone: dict[Digest, int] = {digest_from_key(key): size for key, size in self.gone.items()}
        each = [
            PlannedRemoval(target in self.withdrawn, freed, is_done and not freed)
            for target, freed, is_done in zip(self.targets, self.freed, self.done, strict=True)
        ]
        return PlannedRemovals(gone, each)


def step(connection: sqlite3.Connection, work: RemovalWork) -> None:
    """Do one step: one task at least."""
    end = time.perf_counter() + STEP
    simulation = _Simulation(connection, work)
    while not work.over:
        if work.tasks:
            task = work.tasks.popleft()
            work.pending.discard(task)
            simulation.do(*task)
        else:
            simulation.take(*work.waiting[work.taken])
            work.taken += 1
        if time.perf_counter() >= end:
            break


class _Simulation:
    """Checks the index as it would be after the removals so far."""

    def __init__(self, connection: sqlite3.Connection, work: RemovalWork) -> None:
        self._connection = connection
        self._work = work

    def take(self, target: RemovalTarget, effect: RemovalEffect) -> None:
        """Begin the next removal, with its effect alone."""
        work, repository = self._work, number_of(self._connection, target.repository) or 0
        named = b"" if effect.named is None else digest_key(effect.named)
        work.targets.append((repository, named))
        work.freed.append(0)
        is_tag = target.kind is RemovedKind.TAG
        work.done.append(not is_tag and (repository, named) in work.withdrawn)
        work.repository, work.ending = repository, set()
        work.named = b"" if is_tag else named
        work.tags.update((repository, tag) for tag in effect.tags)
        for each in effect.gone:
            key = digest_key(each.digest)
            # Not evicted content, nor content to which an earlier removal ended the right.
            if each.size and (key == work.named or (repository, key) not in work.withdrawn):
                work.goes(key, each.size)
        for digest in effect.withdrawn:
            self._withdraw(repository, digest_key(digest))
        if named and is_tag:
            work.add((_RIGHT, repository, named))

    def do(self, kind: str, repository: int, key: bytes) -> None:
        """Do one task."""
        if kind == _BELOW:
            self._look_below(repository, key)
        elif kind == _BYTES:
            self._look_at_bytes(key)
        elif (repository, key) not in self._work.withdrawn and not self._is_kept(repository, key):
            self._withdraw(repository, key)

    def _withdraw(self, repository: int, key: bytes) -> None:
        if (repository, key) not in self._work.withdrawn:
            self._work.withdrawn.add((repository, key))
            self._work.ending.add(key)
        self._work.add((_BELOW, repository, key), (_BYTES, 0, key))

    def _look_below(self, repository: int, key: bytes) -> None:
        row = self._row(_STORED, key)
        if row is None:
            return
        names = {"manifest": row[0], "repository": repository, "digest": key}
        for (each,) in self._connection.execute(_LISTS, names).fetchall():
            self._work.add((_RIGHT, repository, each), (_BYTES, 0, each))

    def _look_at_bytes(self, key: bytes) -> None:
        row = self._row(_STORED, key)
        if row is None or row[1] is None or key in self._work.gone:
            return
        if self._is_own(key, row[0]) and not self._is_needed(key, is_manifest=bool(row[2])):
            self._work.goes(key, row[1])
            names = {"manifest": row[0], "repository": 0, "digest": key}
            for (each,) in self._connection.execute(_LISTS, names).fetchall():
                self._work.add((_BYTES, 0, each))

    def _is_own(self, key: bytes, number: int) -> bool:
        """Whether the removal names it or ends a right to it, or no other repository has one."""
        work, repository = self._work, self._work.repository
        if key == work.named:
            return True
        if (repository, key) not in work.withdrawn:
            return False
        names = {"content": number, "repository": repository}
        if key in work.ending and self._row_by(f"SELECT {HAS_RIGHT}", names)[0]:
            return True
        return not self._others_have(key, repository)

    def _is_kept(self, repository: int, key: bytes) -> bool:
        """Whether something in a repository keeps content there."""
        if self._is_tagged(repository, key):
            return True
        if self._row(_PINNED_HERE, repository, str(digest_from_key(key))):
            return True
        return (
            self._is_kept_by(_SHOWN_BY, repository, key, lambda one: self._stays(repository, one))
            or self._is_kept_by(
                _TAGGED_LISTERS,
                repository,
                key,
                lambda one, tag: self._stays(repository, one) and self._keeps(repository, tag),
            )
            or self._is_kept_by(
                _SHOWN_LISTERS,
                repository,
                key,
                lambda one, above: self._stays(repository, one) and self._stays(repository, above),
            )
        )

    def _is_kept_by(
        self, statement: str, repository: int, key: bytes, keeps: Callable[..., bool]
    ) -> bool:
        """Whether a row keeps the content; the row that kept it last is read first."""
        place = (statement, repository, key)
        names = {"repository": repository, "digest": key}
        least = "" if statement is _TAGS_HERE else 0
        last = self._work.keepers.get(place, least)
        for first, end in ((last, None), (least, last))[: 1 if last == least else 2]:
            rows = self._connection.execute(statement, {**names, "first": first, "end": end})
            for number, *found in rows:
                if keeps(*found):
                    self._work.keepers[place] = number
                    return True
        return False

    def _is_tagged(self, repository: int, key: bytes) -> bool:
        return self._is_kept_by(
            _TAGS_HERE, repository, key, lambda tag: self._keeps(repository, tag)
        )

    def _keeps(self, repository: int, tag: str) -> bool:
        return (repository, tag) not in self._work.tags

    def _stays(self, repository: int, key: bytes) -> bool:
        return key not in self._work.gone and (repository, key) not in self._work.withdrawn

    def _is_needed(self, key: bytes, *, is_manifest: bool) -> bool:
        """Whether something that stays needs the bytes."""
        if self._row(_PINNED, key):
            return True
        if key == self._work.named:
            return self._others_have(key, self._work.repository)
        if self._is_kept_by(_STORED_LISTERS, 0, key, lambda one: one not in self._work.gone):
            return True
        return is_manifest and self._is_referred_to([key], 0)

    def _others_have(self, key: bytes, besides: int) -> bool:
        """Whether another repository has the content, or a manifest above it that stays."""
        level, found = [key], {key}
        for _ in range(MOST_DEEP + 1):
            if not level:
                break
            if self._is_referred_to(level, besides):
                return True
            level = self._level_above(level, found)
            found.update(level)
        return False

    def _level_above(self, level: Collection[bytes], found: Collection[bytes]) -> list[bytes]:
        rows = self._rows_of(_ABOVE, level, MOST_READ)
        above = dict.fromkeys(each for (each,) in rows if each not in found)
        return [each for each in above if each not in self._work.gone][:MOST_ABOVE]

    def _is_referred_to(self, keys: Collection[bytes], besides: int) -> bool:
        """Whether a repository has one of the contents, by a tag or a link.

        :param besides: the repository that does not count.
        """
        if any(self._keeps(*row) for row in self._rows_of(_TAGGED, keys, besides)):
            return True
        links = self._rows_of(_LINKED, keys, besides)
        return any(row not in self._work.withdrawn for row in links)

    def _rows_of(self, statement: str, keys: Collection[bytes], last: int) -> sqlite3.Cursor:
        """Rows about some contents.

        :param last: the last argument.
        """
        marks = ", ".join("?" * len(keys))
        return self._connection.execute(statement.format(marks), (*keys, last))

    def _row_by(self, statement: str, names: dict[str, int]) -> Any:
        return self._connection.execute(statement, names).fetchone()

    def _row(self, statement: str, *arguments: object) -> Any:
        return self._connection.execute(statement, arguments).fetchone()
