"""Statements that add up what is stored: by upstream, by age, and what pins hold.

Ranges of numbers are added up in steps that leave the index's thread to others in between.
"""

import sqlite3
import time
from dataclasses import KW_ONLY, field

from regcache.light_dataclass import dataclass
from regcache.plans import StoredSums, UpstreamSums

STEP = 0.01
"""Seconds after which a step ends, once what it has begun is done."""

RANGE = 1000
"""Numbers that are added up in one go."""

AGES = (1, 7, 30, 90)
"""Days since the last use, by which what is stored is divided."""

# By conditions on one pass over both tables: rows are neither sorted by age nor kept.
_BY_AGE = f"""
SELECT sum(size), {", ".join(f"sum(iif(used < :now - {days * 86400.0}, size, 0))" for days in AGES)}
FROM (
    SELECT p.size AS size, ifnull({{}}, p.since) AS used
    FROM places p LEFT JOIN uses u ON u.content_id = p.content_id
    WHERE p.content_id > :after AND p.content_id <= :end AND +p.place = 'disk'
    {{}}
)
"""
_OF_ONE_WRITER = _BY_AGE.format("u.last_use", "")
# To group the rows takes a third of the time, so that is done only where it has to be.
_OF_SEVERAL = _BY_AGE.format("max(u.last_use)", "GROUP BY p.content_id")
_ARE_SEVERAL = "SELECT count(*) != 1 FROM writers"

# Each content once for an upstream, in the order of the table: no row is sorted for that.
_GIVEN = """
SELECT DISTINCT content_id, upstream FROM links WHERE content_id > :after AND content_id <= :end
"""
# Where several upstreams have had the same name it counts once for all of them.
_GIVEN_BY_NAME = """
SELECT DISTINCT l.content_id, u.name AS upstream
FROM links l CROSS JOIN upstreams u ON u.key = l.upstream
WHERE l.content_id > :after AND l.content_id <= :end
"""
_BY_UPSTREAM = """
SELECT g.upstream, sum(p.size)
FROM ({}) g CROSS JOIN places p ON p.content_id = g.content_id AND p.place = 'disk'
GROUP BY g.upstream
"""

# Pins mostly cover little: what they do is found from them, not by a look at each content.
_PINNED = f"""
WITH covered AS MATERIALIZED (
    SELECT p.content_id, p.size
    FROM (SELECT digest FROM pinned WHERE digest > :key ORDER BY digest LIMIT {RANGE}) n
    CROSS JOIN contents c ON c.digest = n.digest
    CROSS JOIN places p ON p.content_id = c.id AND p.place = 'disk'
)
SELECT NULL, ifnull(sum(size), 0) FROM covered
UNION ALL
SELECT name, sum(size) FROM (
    SELECT DISTINCT v.content_id, v.size, u.name AS name FROM covered v
    CROSS JOIN links l ON l.content_id = v.content_id CROSS JOIN upstreams u ON u.key = l.upstream
) GROUP BY name
"""
_NEXT_PINNED = (
    f"SELECT digest FROM pinned WHERE digest > ? ORDER BY digest LIMIT 1 OFFSET {RANGE - 1}"
)

_ARE_SAME = "SELECT count(*) > count(DISTINCT name) OR count(*) > sum(key = name) FROM upstreams"

_REPOSITORIES = """
SELECT u.name, count(*) FROM repositories r JOIN upstreams u ON u.key = r.upstream
WHERE r.stored > 0 GROUP BY u.name
"""


@dataclass(slots=True)
class SumsWork:
    """Sums in progress. While a step runs they belong to the index's thread.

    :ivar now: Unix seconds.
    :ivar after: behind which number of content they go on; None when all of it is added up.
    :ivar key: behind which digest what is pinned is added up; None: all of it is.
    """

    now: float
    _: KW_ONLY
    after: int | None = 0
    key: bytes | None = b""
    by_age: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    pinned: int = 0
    upstreams: dict[str, list[int]] = field(default_factory=dict)
    repositories: dict[str, int] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether all is added up."""
        return self.after is None and self.key is None

    def result(self) -> StoredSums:
        """What it came to."""
        return StoredSums(
            tuple(zip((*AGES, None), self.by_age, strict=True)),
            self.pinned,
            tuple(
                UpstreamSums(name, stored, pinned, self.repositories.get(name, 0))
                for name, (stored, pinned) in sorted(self.upstreams.items())
            ),
        )


def step(connection: sqlite3.Connection, work: SumsWork) -> None:
    """Add up a part of it."""
    end = time.perf_counter() + STEP
    (last,) = connection.execute("SELECT ifnull(max(content_id), 0) FROM places").fetchone()
    (are_same,) = connection.execute(_ARE_SAME).fetchone()
    (are_several,) = connection.execute(_ARE_SEVERAL).fetchone()
    by_age = _OF_SEVERAL if are_several else _OF_ONE_WRITER
    by_upstream = _BY_UPSTREAM.format(_GIVEN_BY_NAME if are_same else _GIVEN)
    while not work.over and time.perf_counter() < end:
        if work.after is None:
            _add_pinned(connection, work)
            continue
        names = {"now": work.now, "after": work.after, "end": work.after + RANGE}
        _add_ages(work, connection.execute(by_age, names).fetchone())
        for upstream, size in connection.execute(by_upstream, names):
            work.upstreams.setdefault(upstream, [0, 0])[0] += size
        work.after = work.after + RANGE if work.after + RANGE < last else None
    if work.over:
        work.repositories = dict(connection.execute(_REPOSITORIES).fetchall())


def _add_ages(work: SumsWork, older: tuple[int | None, ...]) -> None:
    """Add what is in each range of ages.

    :param older: the bytes of all, and of what is older than each of ``AGES``.
    """
    sizes = [size or 0 for size in older]
    for place, (size, beyond) in enumerate(zip(sizes, [*sizes[1:], 0], strict=True)):
        work.by_age[place] += size - beyond


def _add_pinned(connection: sqlite3.Connection, work: SumsWork) -> None:
    assert work.key is not None
    for upstream, size in connection.execute(_PINNED, {"key": work.key}):
        if upstream is None:
            work.pinned += size
        elif upstream in work.upstreams:
            work.upstreams[upstream][1] += size
    following = connection.execute(_NEXT_PINNED, (work.key,)).fetchone()
    work.key = None if following is None else following[0]
