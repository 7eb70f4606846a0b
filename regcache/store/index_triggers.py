"""Changes of very many rows, without the triggers that would run for each of them.

Triggers keep sums and marks up to date, for one row after the other: of a change of thousands of
rows they are most of the time. Who leaves them out does for all rows at once what they do for each.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MANY = 200
"""From so many rows on it costs less to leave triggers out: that costs some milliseconds."""


@contextmanager
def without_triggers(connection: sqlite3.Connection, names: Sequence[str]) -> Iterator[None]:
    """Leave out triggers of what is changed inside. Within a transaction.

    They are a part of the file as rows are: other connections have them all the time, and where the
    transaction is taken back, or the daemon is killed, they are as they were.
    """
    marks = ", ".join("?" * len(names))
    scripts = connection.execute(
        f"SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name IN ({marks})", names
    ).fetchall()
    for name in names:
        connection.execute(f"DROP TRIGGER {name}")
    try:
        yield
    finally:
        if connection.in_transaction:  # SQLite ends it by itself for some errors
            for (script,) in scripts:
                connection.execute(script)
