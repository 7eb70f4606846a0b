"""The tables of the index, and the migrations from older versions.

Digests are binary, one byte for the algorithm before the hash: as text, a million of them would
make the file twice as large. Tables that may become large are never scanned: what a repository may
be told is kept for each repository (``shown``, ``referrers``), and totals are kept up to date by
triggers, within the same transactions.
"""

import sqlite3
from collections.abc import Sequence

from regcache.digests import Digest
from regcache.store.catalogue_schema import CATALOGUE, LISTS
from regcache.store.image_schema import IMAGES
from regcache.store.removal_queue import FOLLOWING

_ALGORITHM_BYTES = {"sha256": b"\x01", "sha512": b"\x02"}
_ALGORITHM_NAMES = {code[0]: name for name, code in _ALGORITHM_BYTES.items()}

_FIRST = """
CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    upstream TEXT NOT NULL,
    name TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0,  -- how many linked contents are stored
    UNIQUE (upstream, name)
);
CREATE INDEX repositories_listed ON repositories (upstream, name) WHERE stored > 0;

CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size INTEGER,                       -- NULL: the bytes are not here
    media_type TEXT NOT NULL DEFAULT '',
    public INTEGER NOT NULL DEFAULT 0,
    pinned INTEGER NOT NULL DEFAULT 0,
    committed_at REAL,
    last_use REAL
);
CREATE INDEX contents_by_use ON contents (last_use) WHERE size IS NOT NULL AND pinned = 0;

CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (1, 0);

CREATE TABLE links (
    content_id INTEGER NOT NULL,
    upstream TEXT NOT NULL,             -- here too, so that "any repository of it" is one probe
    repository_id INTEGER NOT NULL,
    proved_at REAL NOT NULL,
    credentials TEXT NOT NULL,
    PRIMARY KEY (content_id, upstream, repository_id)
) WITHOUT ROWID;

CREATE TABLE mentions (
    manifest_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (manifest_id, digest, size)
) WITHOUT ROWID;

CREATE TABLE shown (                    -- the mentions that a repository's links give it
    repository_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    manifest_id INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest, size, manifest_id)
) WITHOUT ROWID;

CREATE TABLE subjects (
    manifest_id INTEGER PRIMARY KEY,
    subject BLOB NOT NULL,
    artifact_type TEXT NOT NULL,
    annotations TEXT NOT NULL           -- JSON object
);

CREATE TABLE referrers (                -- the subjects that a repository's links give it
    repository_id INTEGER NOT NULL,
    subject BLOB NOT NULL,
    manifest_id INTEGER NOT NULL,
    PRIMARY KEY (repository_id, subject, manifest_id)
) WITHOUT ROWID;

CREATE TABLE tags (
    repository_id INTEGER NOT NULL,
    tag TEXT NOT NULL,
    digest BLOB NOT NULL,
    validated_at REAL NOT NULL,
    PRIMARY KEY (repository_id, tag)
) WITHOUT ROWID;

CREATE TABLE verdicts (                 -- by name: asked for names may not exist anywhere
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    upstream TEXT NOT NULL,
    name TEXT NOT NULL,
    public INTEGER NOT NULL,
    asked_at REAL NOT NULL,
    UNIQUE (upstream, name)
);

CREATE TRIGGER contents_added AFTER INSERT ON contents WHEN NEW.size IS NOT NULL BEGIN
    UPDATE totals SET bytes = bytes + NEW.size;
END;
CREATE TRIGGER contents_resized AFTER UPDATE OF size ON contents
WHEN NEW.size IS NOT OLD.size BEGIN
    UPDATE totals SET bytes = bytes + ifnull(NEW.size, 0) - ifnull(OLD.size, 0);
    UPDATE repositories
    SET stored = stored + (NEW.size IS NOT NULL) - (OLD.size IS NOT NULL)
    WHERE id IN (SELECT repository_id FROM links WHERE content_id = NEW.id);
END;
CREATE TRIGGER links_added AFTER INSERT ON links BEGIN
    UPDATE repositories
    SET stored = stored
        + (SELECT size IS NOT NULL FROM contents WHERE id = NEW.content_id)
    WHERE id = NEW.repository_id;
END;
"""

_CLOSED = """
ALTER TABLE repositories ADD COLUMN closed_since REAL;  -- NULL: it is open
"""

_UPSTREAMS = """
CREATE TABLE upstreams (                -- which upstreams have had a name, in order
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,           -- what the columns named upstream mean
    identity TEXT                       -- JSON; NULL: from before there were identities
);
CREATE INDEX upstreams_by_name ON upstreams (name);
INSERT INTO upstreams (name, key)
SELECT upstream, upstream FROM repositories UNION SELECT upstream, upstream FROM verdicts;
"""

# 4096: as regcache.facts.BLOCK
_BLOCKS = """
DROP TRIGGER contents_added;
DROP TRIGGER contents_resized;
ALTER TABLE totals RENAME COLUMN bytes TO blocks;
UPDATE totals SET blocks = (SELECT ifnull(sum((size + 4095) / 4096), 0) FROM contents);
CREATE TRIGGER contents_added AFTER INSERT ON contents WHEN NEW.size IS NOT NULL BEGIN
    UPDATE totals SET blocks = blocks + (NEW.size + 4095) / 4096;
END;
CREATE TRIGGER contents_resized AFTER UPDATE OF size ON contents
WHEN NEW.size IS NOT OLD.size BEGIN
    UPDATE totals SET blocks = blocks
        + ifnull((NEW.size + 4095) / 4096, 0) - ifnull((OLD.size + 4095) / 4096, 0);
    UPDATE repositories
    SET stored = stored + (NEW.size IS NOT NULL) - (OLD.size IS NOT NULL)
    WHERE id IN (SELECT repository_id FROM links WHERE content_id = NEW.id);
END;
"""

# Content from before is in the order of its last use, below all that is used from then on.
_PLACES = """
CREATE TABLE places (                   -- where the bytes of content lie
    content_id INTEGER NOT NULL,
    place TEXT NOT NULL,                -- 'disk'
    size INTEGER NOT NULL,
    since REAL NOT NULL,
    needed INTEGER NOT NULL DEFAULT 1,  -- 0: no stored manifest lists it, and it is none
    priority REAL NOT NULL,             -- regcache.retention
    PRIMARY KEY (content_id, place)
) WITHOUT ROWID;
CREATE INDEX mentions_by_digest ON mentions (digest, manifest_id);
INSERT INTO places
SELECT id, 'disk', size, ifnull(committed_at, 0),
    media_type != '' OR EXISTS (SELECT 1 FROM mentions m WHERE m.digest = contents.digest),
    min(max(ifnull(last_use, 0), 0), 1e10) / 1e10 - 1
FROM contents WHERE size IS NOT NULL;
CREATE INDEX places_in_order ON places (place, needed, priority, content_id);

CREATE TABLE writers (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, landmark REAL);
INSERT INTO writers (id, name) VALUES (1, lower(hex(randomblob(16))));
CREATE TABLE uses (                     -- added to by one writer each; readers add them up
    content_id INTEGER NOT NULL,
    writer INTEGER NOT NULL,
    last_use REAL NOT NULL,
    count REAL NOT NULL,                -- a sum of weights, see regcache.retention
    PRIMARY KEY (content_id, writer)
) WITHOUT ROWID;
INSERT INTO uses SELECT id, 1, last_use, 0 FROM contents WHERE last_use IS NOT NULL;

CREATE TABLE eviction (one INTEGER PRIMARY KEY CHECK (one = 1), floor REAL NOT NULL,
    freed INTEGER NOT NULL);            -- all bytes that were ever evicted
INSERT INTO eviction VALUES (1, 0, 0);
CREATE TABLE leaving (digest BLOB PRIMARY KEY) WITHOUT ROWID;  -- files that are to be removed
CREATE TABLE ghosts (                   -- what was evicted
    content_id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    freed INTEGER NOT NULL              -- eviction.freed of then
);
CREATE INDEX ghosts_by_age ON ghosts (freed);
CREATE TABLE ghost_misses (             -- what a larger disk would have had
    day INTEGER NOT NULL,
    doublings INTEGER NOT NULL,         -- 1 MiB * 2 ** doublings more would have been enough
    misses INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (day, doublings)
) WITHOUT ROWID;

CREATE TABLE pins (                     -- set by hand
    repository_id INTEGER NOT NULL,
    reference TEXT NOT NULL,
    by TEXT NOT NULL,
    since REAL NOT NULL,
    PRIMARY KEY (repository_id, reference)
) WITHOUT ROWID;
CREATE TABLE pinned (                   -- what pins and patterns cover, stored or not
    digest BLOB PRIMARY KEY,
    round INTEGER NOT NULL
) WITHOUT ROWID;

DROP TRIGGER contents_added;
DROP TRIGGER contents_resized;
DROP TRIGGER links_added;
DROP INDEX contents_by_use;
ALTER TABLE contents DROP COLUMN pinned;
ALTER TABLE contents DROP COLUMN committed_at;
ALTER TABLE contents DROP COLUMN last_use;
CREATE TRIGGER places_added AFTER INSERT ON places BEGIN
    UPDATE totals SET blocks = blocks + (NEW.size + 4095) / 4096;
    UPDATE repositories SET stored = stored + 1
    WHERE id IN (SELECT repository_id FROM links WHERE content_id = NEW.content_id);
END;
CREATE TRIGGER places_dropped AFTER DELETE ON places BEGIN
    UPDATE totals SET blocks = blocks - (OLD.size + 4095) / 4096;
    UPDATE repositories SET stored = stored - 1
    WHERE id IN (SELECT repository_id FROM links WHERE content_id = OLD.content_id);
END;
CREATE TRIGGER places_resized AFTER UPDATE OF size ON places WHEN NEW.size != OLD.size BEGIN
    UPDATE totals SET blocks = blocks + (NEW.size + 4095) / 4096 - (OLD.size + 4095) / 4096;
END;
CREATE TRIGGER links_added AFTER INSERT ON links BEGIN
    UPDATE repositories SET stored = stored
        + EXISTS (SELECT 1 FROM places WHERE content_id = NEW.content_id)
    WHERE id = NEW.repository_id;
END;
"""

_REMOVALS = """
ALTER TABLE contents ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;  -- of its last removal
CREATE INDEX contents_by_generation ON contents (generation) WHERE generation > 0;
CREATE INDEX tags_by_digest ON tags (digest);
CREATE INDEX links_by_repository ON links (repository_id);
CREATE TABLE withdrawn (                -- rights, to public bytes too, until they are proved again
    content_id INTEGER NOT NULL,
    repository_id INTEGER NOT NULL,
    linked INTEGER NOT NULL,            -- there was a link: its upstream has given these bytes
    generation INTEGER NOT NULL,
    PRIMARY KEY (content_id, repository_id)
) WITHOUT ROWID;
CREATE INDEX withdrawn_by_repository ON withdrawn (repository_id);
CREATE INDEX withdrawn_by_generation ON withdrawn (generation);
CREATE TRIGGER links_removed AFTER DELETE ON links BEGIN
    UPDATE repositories SET stored = stored
        - EXISTS (SELECT 1 FROM places WHERE content_id = OLD.content_id)
    WHERE id = OLD.repository_id;
END;
"""

_PROGRESS = """
CREATE TABLE progress (                 -- how far work has come that goes on after a restart
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL                 -- JSON object
) WITHOUT ROWID;
"""

_FETCHES = """
ALTER TABLE places ADD COLUMN fetched_by TEXT NOT NULL DEFAULT '';  -- an account or address
ALTER TABLE mentions ADD COLUMN position INTEGER;  -- in the manifest; NULL: not known
"""

LEFTOVERS = "leftovers"
"""The name of work in ``progress``: see :mod:`regcache.store.leftovers`."""

# To look at all rows here would hold up the start, and a full disk would have no room for it.
_LEFTOVERS = f"""
INSERT OR REPLACE INTO progress
SELECT '{LEFTOVERS}', '{{"table": "shown", "after": []}}'
WHERE EXISTS (SELECT 1 FROM shown) OR EXISTS (SELECT 1 FROM referrers);
"""

MIGRATIONS: Sequence[str] = (
    *(_FIRST, _CLOSED, _UPSTREAMS, _BLOCKS, _PLACES, _REMOVALS, _PROGRESS, CATALOGUE, _FETCHES),
    IMAGES,
    LISTS,
    FOLLOWING,
    _LEFTOVERS,
)
"""The n-th script turns version n - 1 into version n. Never change one that was released."""

SAME_TABLES = {(12, 13)}
"""Versions of which the second reads the first as it is."""


_PROBES = (
    "SELECT max(number) FROM upstreams",
    "SELECT id FROM repositories ORDER BY upstream DESC, name DESC LIMIT 1",
    "SELECT max(id) FROM contents",
    "SELECT id FROM contents ORDER BY digest LIMIT 1",
    "SELECT content_id FROM links ORDER BY content_id DESC LIMIT 1",
    "SELECT position FROM mentions LIMIT 1",
    "SELECT fetched_by, tags FROM places ORDER BY content_id DESC LIMIT 1",
    "SELECT content_id FROM places ORDER BY place, needed, priority LIMIT 1",
    "SELECT count FROM uses LIMIT 1",
    "SELECT content_id FROM ghosts LIMIT 1",
    "SELECT since FROM pins LIMIT 1",
    "SELECT digest FROM pinned LIMIT 1",
    "SELECT size FROM shown LIMIT 1",
    "SELECT subject FROM subjects LIMIT 1",
    "SELECT subject FROM referrers LIMIT 1",
    "SELECT tag FROM tags LIMIT 1",
    "SELECT max(id) FROM verdicts",
    "SELECT content_id FROM withdrawn LIMIT 1",
    "SELECT name FROM progress LIMIT 1",
    "SELECT digest FROM members LIMIT 1",
    "SELECT platform FROM described LIMIT 1",
    "SELECT manifest_id FROM partly_known LIMIT 1",
    "SELECT digest FROM tag_history LIMIT 1",
    "SELECT last_used FROM summaries LIMIT 1",
    "SELECT count FROM pulls LIMIT 1",
    "SELECT changes FROM outdated LIMIT 1",
    "SELECT part FROM following LIMIT 1",
)


class IndexVersionError(Exception):
    """The file was written by a newer version, so that this one cannot use it."""


class IndexDamagedError(Exception):
    """The file is no index, or a part of it is missing."""


def digest_key(digest: Digest) -> bytes:
    """The form in which a digest is kept."""
    return _ALGORITHM_BYTES[digest.algorithm] + bytes.fromhex(digest.hex)


def digest_from_key(key: bytes) -> Digest:
    """The digest that is kept as ``key``."""
    return Digest(_ALGORITHM_NAMES[key[0]], key[1:].hex())


def schema_version(connection: sqlite3.Connection) -> int:
    """The version of an open file; 0 for a new one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring a file to the present version, with one transaction per step.

    :raises IndexVersionError: if the file is newer than the program.
    :raises IndexDamagedError: if it has tables but no version.
    """
    version = schema_version(connection)
    if version > len(migrations):
        raise IndexVersionError(
            f"the index has schema version {version}, and this program knows no version above "
            f"{len(migrations)}"
        )
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise IndexDamagedError("it has tables but no schema version")
    for number in range(version, len(migrations)):
        _apply(connection, migrations[number], number + 1)


def _apply(connection: sqlite3.Connection, script: str, version: int) -> None:
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA user_version={version}; COMMIT"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check(connection: sqlite3.Connection) -> None:
    """Read a little of each table. That is cheap at any size, and enough to recognise garbage.

    SQLite itself notices a file that was cut short: it compares the length with its header.

    :raises IndexDamagedError: if a table or trigger is missing.
    :raises sqlite3.DatabaseError: if pages cannot be read.
    """
    try:
        for probe in _PROBES:
            connection.execute(probe).fetchone()
        total = connection.execute("SELECT blocks FROM totals, eviction, writers").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise IndexDamagedError(str(error)) from error
    if total is None:
        raise IndexDamagedError("the table of totals is empty")
