"""Statements that add up what is stored: by upstream, by age, and what pins hold.

Ranges of numbers are added up in steps that leave the index's thread to others in between.
"""

import sqlite3
import time
from dataclasses import field

from regcache.light_dataclass import dataclass
from regcache.plans import StoredSums, UpstreamSums

STEP = 0.01
"""Seconds after which a step ends, once what it has begun is done."""

RANGE = 1000
"""Numbers that are added up in one go."""

AGES = (1, 7, 30, 90)
"""Days since the last use, by which what is stored is divided."""

# Where nothing is pinned no content is looked at.
_IS_PINNED = """(EXISTS (SELECT 1 FROM pinned) AND EXISTS (
        SELECT 1 FROM pinned n JOIN contents c ON c.digest = n.digest WHERE c.id = p.content_id
    ))"""

# Materialized: else the last use is looked up again for each age that it is compared with.
_BY_AGE = f"""
WITH aged AS MATERIALIZED (
    SELECT p.size, (:now - ifnull(
        (SELECT max(last_use) FROM uses WHERE content_id = p.content_id), p.since
    )) / 86400.0 AS age,
    {_IS_PINNED} AS pinned
    FROM places p WHERE p.content_id > :after AND p.content_id <= :end AND +p.place = 'disk'
)
SELECT CASE
    WHEN age <= 1 THEN 0 WHEN age <= 7 THEN 1 WHEN age <= 30 THEN 2 WHEN age <= 90 THEN 3 ELSE 4
    END AS place, sum(size), sum(iif(pinned, size, 0))
FROM aged GROUP BY place
"""

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
_BY_UPSTREAM = f"""
WITH given AS MATERIALIZED ({{}})
SELECT g.upstream, sum(p.size), sum(iif({_IS_PINNED}, p.size, 0))
FROM given g CROSS JOIN places p ON p.content_id = g.content_id AND p.place = 'disk'
GROUP BY g.upstream
"""
_ARE_SAME = "SELECT count(*) > count(DISTINCT name) OR count(*) > sum(key = name) FROM upstreams"

_REPOSITORIES = """
SELECT u.name, count(*) FROM repositories r JOIN upstreams u ON u.key = r.upstream
WHERE r.stored > 0 GROUP BY u.name
"""


@dataclass(slots=True)
class SumsWork:
    """Sums in progress. While a step runs they belong to the index's thread.

    :ivar now: Unix seconds.
    """

    now: float
    after: int | None = 0
    by_age: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    pinned: int = 0
    upstreams: dict[str, list[int]] = field(default_factory=dict)
    repositories: dict[str, int] = field(default_factory=dict)

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
    by_upstream = _BY_UPSTREAM.format(_GIVEN_BY_NAME if are_same else _GIVEN)
    while work.after is not None and time.perf_counter() < end:
        names = {"now": work.now, "after": work.after, "end": work.after + RANGE}
        for place, size, pinned in connection.execute(_BY_AGE, names):
            work.by_age[place] += size
            work.pinned += pinned
        for upstream, size, pinned in connection.execute(by_upstream, names):
            sums = work.upstreams.setdefault(upstream, [0, 0])
            sums[0] += size
            sums[1] += pinned
        work.after = work.after + RANGE if work.after + RANGE < last else None
    if work.after is None:
        work.repositories = dict(connection.execute(_REPOSITORIES).fetchall())
