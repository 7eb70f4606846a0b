"""What is pinned in one repository, by hand or by a pattern, for those who look at it."""

import json
import sqlite3
from collections.abc import Sequence

from regcache.images import ImagePin
from regcache.light_dataclass import dataclass
from regcache.store.index_pins import matches
from regcache.store.index_schema import digest_from_key

PATTERN = "storage.pin"
"""By whom an image is pinned that a pattern of the configuration names."""

_NOTED = "patterns of what is pinned"

_NAMES = """
SELECT u.name, r.name FROM repositories r JOIN upstreams u ON u.key = r.upstream WHERE r.id = ?
"""


@dataclass(frozen=True, slots=True)
class View:
    """What an answer depends on besides the index.

    :ivar patterns: of what is pinned.
    :ivar now: Unix seconds.
    """

    patterns: Sequence[str]
    now: float


class ImagePins:
    """The pins of one repository.

    :param number: of the repository.
    """

    def __init__(
        self, connection: sqlite3.Connection, number: int, patterns: Sequence[str]
    ) -> None:
        rows = connection.execute(
            "SELECT reference, by, since FROM pins WHERE repository_id = ?", (number,)
        )
        self._by_hand = {reference: ImagePin(by, since) for reference, by, since in rows}
        self._patterns = patterns
        self._names = connection.execute(_NAMES, (number,)).fetchone() if patterns else None

    def by(self, tag: str, key: bytes) -> ImagePin | None:
        """Why a tag is pinned, or what it names; None if neither is.

        :param tag: "" for none.
        """
        if self._by_hand:
            found = self._by_hand.get(tag) or self._by_hand.get(str(digest_from_key(key)))
            if found is not None:
                return found
        upstream, name = self._names or ("", "")
        if tag and upstream and matches(self._patterns, upstream, name, tag):
            return ImagePin(PATTERN, None)
        return None


def note_patterns(connection: sqlite3.Connection, patterns: Sequence[str]) -> None:
    """Have all summaries made anew, if they were made with other patterns."""
    value = json.dumps(list(patterns))
    row = connection.execute("SELECT value FROM progress WHERE name = ?", (_NOTED,)).fetchone()
    if (row is None and not patterns) or (row is not None and row[0] == value):
        return
    connection.execute("INSERT OR REPLACE INTO progress VALUES (?, ?)", (_NOTED, value))
    connection.execute(
        "INSERT INTO outdated (repository_id) SELECT id FROM repositories WHERE true"
        " ON CONFLICT DO UPDATE SET changes = changes + 1"
    )
