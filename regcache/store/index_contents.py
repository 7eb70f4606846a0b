"""Statements about content, and about which repositories have a right to it.

All functions take the connection first. They run in the index's thread; those that write, within
its transaction.
"""

import sqlite3

from regcache.digests import Digest
from regcache.facts import BLOCK, ContentFacts, IndexCounts, Link
from regcache.identity import Repository, RepositoryContent
from regcache.light_dataclass import dataclass
from regcache.store import index_places
from regcache.store.catalogue_schema import MARK_LISTED
from regcache.store.identities import CERTAIN, NOBODY, certain_names, find_names, note_names
from regcache.store.index_places import IS_NEEDED, Stored
from regcache.store.index_schema import digest_key
from regcache.store.index_triggers import MANY, without_triggers

# An earlier version left rows of cleared repositories, and numbers are given again: so the right
# to the manifest is asked for. The first row has one, where there are none of these.
_MENTIONED_SIZE = """(
    SELECT size FROM shown
    WHERE repository_id = r.id AND digest = :digest AND EXISTS (
        SELECT 1 FROM links
        WHERE content_id = shown.manifest_id AND upstream = r.upstream AND repository_id = r.id)
    ORDER BY size"""

CONTENT = f"""
SELECT k.key, p.size, c.media_type, c.public AND w.content_id IS NULL, w.content_id IS NOT NULL,
    l.proved_at, l.credentials,
    EXISTS (SELECT 1 FROM links WHERE content_id = c.id AND upstream = ifnull(k.key, :upstream))
        OR ifnull(w.linked, 0),
    {_MENTIONED_SIZE} ASC LIMIT 1), {_MENTIONED_SIZE} DESC LIMIT 1),
    c.size
FROM (SELECT 1)
LEFT JOIN upstreams k ON {CERTAIN}
LEFT JOIN contents c ON c.digest = :digest
LEFT JOIN places p ON p.content_id = c.id AND p.place = 'disk'
LEFT JOIN repositories r ON r.upstream = ifnull(k.key, :upstream) AND r.name = :repository
LEFT JOIN links l
    ON l.content_id = c.id AND l.upstream = ifnull(k.key, :upstream) AND l.repository_id = r.id
LEFT JOIN withdrawn w ON w.content_id = c.id AND w.repository_id = r.id
"""

NOVELTY = f"""
SELECT k.key, r.id, (SELECT floor FROM eviction WHERE one = 1),
    EXISTS (SELECT 1 FROM leaving WHERE digest = :digest), {IS_NEEDED}
FROM upstreams k
JOIN repositories r ON r.upstream = k.key AND r.name = :repository
WHERE {CERTAIN} AND NOT EXISTS (SELECT 1 FROM contents WHERE digest = :digest)
"""

COUNTS = """
SELECT (SELECT count(*) FROM repositories r
        WHERE r.stored > 0 OR EXISTS (SELECT 1 FROM pins p WHERE p.repository_id = r.id)),
    (SELECT count(*) FROM tags),
    (SELECT count(*) FROM places WHERE place = 'disk')
"""

MENTIONING = """
SELECT l.proved_at, iif(c.public, '', l.credentials)
FROM repositories r
JOIN shown s ON s.repository_id = r.id AND s.digest = :digest
JOIN links l
    ON l.content_id = s.manifest_id AND l.upstream = r.upstream AND l.repository_id = r.id
JOIN contents c ON c.id = s.manifest_id
WHERE r.upstream = :upstream AND r.name = :repository
ORDER BY s.size DESC, s.manifest_id DESC LIMIT :most
"""

MOST_MENTIONING = 64
"""Manifests that mention something whose rights are looked at."""

_GENERATIONS = """
SELECT max(c.generation, ifnull(w.generation, 0))
FROM contents c
LEFT JOIN repositories r ON r.upstream = :upstream AND r.name = :repository
LEFT JOIN withdrawn w ON w.content_id = c.id AND w.repository_id = r.id
WHERE c.digest = :digest
"""

_STORE = """
INSERT INTO contents (digest, size, media_type, public)
VALUES (:digest, :size, :media_type, :public)
ON CONFLICT (digest) DO UPDATE SET
    size = excluded.size,
    media_type = iif(excluded.media_type = '', media_type, excluded.media_type),
    public = max(public, excluded.public)
RETURNING id
"""

_ADD = "INSERT INTO contents (digest, size, public) VALUES (?, ?, ?)"

_LINK = """
INSERT INTO links (content_id, upstream, repository_id, proved_at, credentials)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET proved_at = excluded.proved_at, credentials = excluded.credentials
"""

_IS_MANIFEST = """
SELECT EXISTS (SELECT 1 FROM mentions WHERE manifest_id = :content)
    OR EXISTS (SELECT 1 FROM subjects WHERE manifest_id = :content)
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof of a right: by which credentials it was made, and when (Unix seconds).

    :ivar began: how many removals there were when it was asked for; None where that is no matter.
    :ivar asked_by: the account or address for which it was made; "" where it is not known.
    """

    credentials: str
    now: float
    began: int | None = None
    asked_by: str = ""


def find_content(connection: sqlite3.Connection, content: RepositoryContent) -> ContentFacts:
    """All facts on which a request for a digest in a repository depends."""
    names = {**certain_names(content.repository), "upstream": NOBODY}
    parameters = {**names, "digest": digest_key(content.digest)}
    row = connection.execute(CONTENT, parameters).fetchone()
    if row[0] is None:
        parameters["upstream"], _ = find_names(connection, content.repository)
        row = connection.execute(CONTENT, parameters).fetchone()
    _, size, media_type, public, withdrawn, proved_at, credentials, upstream_linked, *sizes = row
    return ContentFacts(
        size=size,
        media_type=media_type or "",
        public=bool(public),
        withdrawn=bool(withdrawn),
        link=None if proved_at is None else Link(proved_at, credentials),
        upstream_linked=bool(upstream_linked),
        mentioned_size=_mentioned_size(*sizes),
    )


def _mentioned_size(smallest: int | None, largest: int | None, known: int | None) -> int | None:
    """What manifests say of a size, as far as they agree; what it was found to be is right."""
    if smallest is not None and known is not None:
        return known
    return smallest if smallest == largest else None


def mentioning(connection: sqlite3.Connection, content: RepositoryContent) -> list[Link]:
    """The rights to those stored manifests of a repository that mention a digest."""
    upstream, repository = find_names(connection, content.repository)
    names = {"upstream": upstream, "repository": repository, "digest": digest_key(content.digest)}
    rows = connection.execute(MENTIONING, {**names, "most": MOST_MENTIONING})
    return [Link(proved_at, credentials) for proved_at, credentials in rows]


def repository_id(connection: sqlite3.Connection, names: tuple[str, str]) -> int:
    """The number of a repository. It is added if it is not known.

    :param names: of :func:`note_names`.
    """
    row = connection.execute(
        "SELECT id FROM repositories WHERE upstream = ? AND name = ?", names
    ).fetchone()
    if row is not None:
        return int(row[0])
    added = connection.execute("INSERT INTO repositories (upstream, name) VALUES (?, ?)", names)
    return int(added.lastrowid or 0)


def content_id(connection: sqlite3.Connection, digest: Digest) -> int | None:
    """The number of a digest, if it has one."""
    row = connection.execute(
        "SELECT id FROM contents WHERE digest = ?", (digest_key(digest),)
    ).fetchone()
    return None if row is None else int(row[0])


def is_outdated(
    connection: sqlite3.Connection, content: RepositoryContent, began: int | None
) -> bool:
    """Whether content was removed since something began that is to be noted of it now."""
    if began is None:
        return False
    upstream, repository = find_names(connection, content.repository)
    names = {"upstream": upstream, "repository": repository, "digest": digest_key(content.digest)}
    row = connection.execute(_GENERATIONS, names).fetchone()
    return row is not None and int(row[0]) > began


def store_content(
    connection: sqlite3.Connection,
    digest: Digest,
    size: int,
    *,
    media_type: str,
    public: bool,
    now: float,
    fetched_by: str = "",
) -> int:
    """Record that the bytes are stored. Returns the number of the digest."""
    key = digest_key(digest)
    ((number,),) = connection.execute(
        _STORE, {"digest": key, "size": size, "media_type": media_type, "public": public}
    ).fetchall()
    content = Stored(int(number), key, size, is_manifest=bool(media_type), fetched_by=fetched_by)
    index_places.add_place(connection, content, now)
    connection.execute("DELETE FROM leaving WHERE digest = ?", (key,))
    return content.number


def link_content(
    connection: sqlite3.Connection, repository: Repository, content: int, proof: Proof
) -> int:
    """Record the right of a repository to some content. Returns the repository's number.

    The latest proof counts. If it is a stored manifest, what it mentions is recorded, too.
    """
    names = note_names(connection, repository)
    number = repository_id(connection, names)
    connection.execute(_LINK, (content, names[0], number, proof.now, proof.credentials))
    connection.execute(
        "DELETE FROM withdrawn WHERE content_id = ? AND repository_id = ?", (content, number)
    )
    (is_manifest,) = connection.execute(_IS_MANIFEST, {"content": content}).fetchone()
    if is_manifest:
        show_mentions(connection, content, number)
    return number


def show_mentions(connection: sqlite3.Connection, content: int, number: int) -> None:
    """Record for a repository what a manifest mentions."""
    connection.execute(
        "INSERT OR IGNORE INTO shown (repository_id, digest, size, manifest_id)"
        " SELECT ?, digest, size, manifest_id FROM mentions WHERE manifest_id = ?",
        (number, content),
    )
    connection.execute(
        "INSERT OR IGNORE INTO referrers (repository_id, subject, manifest_id)"
        " SELECT ?, subject, manifest_id FROM subjects WHERE manifest_id = ?",
        (number, content),
    )


def record_blob(
    connection: sqlite3.Connection,
    content: RepositoryContent,
    size: int,
    public: bool,
    proof: Proof,
) -> None:
    """Record verified content that was fetched through a repository, and the link."""
    if _record_novel(connection, content, size, public=public, proof=proof):
        return
    if is_outdated(connection, content, proof.began):
        return
    number = store_content(
        connection, content.digest, size, media_type="", public=public, now=proof.now
    )
    link_content(connection, content.repository, number, proof)


def _record_novel(
    connection: sqlite3.Connection,
    content: RepositoryContent,
    size: int,
    *,
    public: bool,
    proof: Proof,
) -> bool:
    """The same in few statements, where nothing was ever known of the content, as mostly.

    :returns: False, and nothing is done, where something is.
    """
    key = digest_key(content.digest)
    names = certain_names(content.repository)
    row = connection.execute(NOVELTY, {**names, "digest": key}).fetchone()
    if row is None:
        return False
    upstream, repository, floor, leaving, needed = row
    added = connection.execute(_ADD, (key, size, public))
    number = int(added.lastrowid or 0)
    index_places.add_first_place(
        connection, Stored(number, key, size, is_manifest=False), proof.now, floor, needed
    )
    if leaving:
        connection.execute("DELETE FROM leaving WHERE digest = ?", (key,))
    connection.execute(_LINK, (number, upstream, repository, proof.now, proof.credentials))
    return True


def record_stored(connection: sqlite3.Connection, digest: Digest, size: int, now: float) -> None:
    """Record verified content that was found on the disk."""
    store_content(connection, digest, size, media_type="", public=False, now=now)


def record_size(connection: sqlite3.Connection, digest: Digest, size: int) -> None:
    """Note how large content is that was verified and is not here."""
    connection.execute(
        "INSERT INTO contents (digest, size) VALUES (?, ?)"
        " ON CONFLICT (digest) DO UPDATE SET size = excluded.size",
        (digest_key(digest), size),
    )


def record_link(connection: sqlite3.Connection, content: RepositoryContent, proof: Proof) -> None:
    """Record a proof of the right to content."""
    if is_outdated(connection, content, proof.began):
        return
    key = digest_key(content.digest)
    connection.execute("INSERT OR IGNORE INTO contents (digest) VALUES (?)", (key,))
    number = content_id(connection, content.digest)
    assert number is not None
    link_content(connection, content.repository, number, proof)


_IS_MANIFEST = """
SELECT (SELECT media_type != '' FROM contents WHERE id = :content)
    OR EXISTS (SELECT 1 FROM mentions WHERE manifest_id = :content)
    OR EXISTS (SELECT 1 FROM subjects WHERE manifest_id = :content)
"""


_COUNT_MENTIONS = "SELECT count(*) FROM mentions WHERE manifest_id = ?"
_FORGET_MENTIONS = "DELETE FROM mentions WHERE manifest_id = ?"

# Without a place a manifest makes no image of what it lists, and none less.
_MENTION_TRIGGERS = ("mentions_unseen", "images_listed_no_more")


def forget_content(connection: sqlite3.Connection, digest: Digest) -> bool:
    """Record that the bytes are gone; if they were a manifest's, forget what it mentioned, too.

    :returns: whether they were there, as far as the index knew.
    """
    content = content_id(connection, digest)
    if content is None:
        return False
    dropped = index_places.drop_place(connection, content)
    if connection.execute(_IS_MANIFEST, {"content": content}).fetchone()[0]:
        _forget_list(connection, content, noted=dropped)
    return dropped


def _forget_list(connection: sqlite3.Connection, content: int, noted: bool) -> None:
    """Forget what a manifest says. A blob says nothing, and most of what goes are blobs.

    :param noted: whether the manifest has just lost its place, which marks whom that concerns.
    """
    connection.execute("UPDATE contents SET media_type = '' WHERE id = ?", (content,))
    connection.execute(
        "DELETE FROM shown WHERE (repository_id, digest, size, manifest_id) IN"
        " (SELECT l.repository_id, m.digest, m.size, m.manifest_id"
        "  FROM mentions m JOIN links l ON l.content_id = m.manifest_id WHERE m.manifest_id = ?)",
        (content,),
    )
    connection.execute(
        "DELETE FROM referrers WHERE (repository_id, subject, manifest_id) IN"
        " (SELECT l.repository_id, s.subject, s.manifest_id"
        "  FROM subjects s JOIN links l ON l.content_id = s.manifest_id WHERE s.manifest_id = ?)",
        (content,),
    )
    _forget_mentions(connection, content, noted)
    for table in ("subjects", "members", "described", "partly_known"):
        connection.execute(f"DELETE FROM {table} WHERE manifest_id = ?", (content,))


def _forget_mentions(connection: sqlite3.Connection, content: int, noted: bool) -> None:
    """Forget what a manifest lists: at once, if that is very much."""
    (count,) = connection.execute(_COUNT_MENTIONS, (content,)).fetchone()
    if count < MANY:
        connection.execute(_FORGET_MENTIONS, (content,))
        return
    for statement in () if noted else MARK_LISTED:
        connection.execute(statement, {"manifest": content})
    with without_triggers(connection, _MENTION_TRIGGERS):
        connection.execute(_FORGET_MENTIONS, (content,))


def occupied_bytes(connection: sqlite3.Connection) -> int:
    """How many bytes all stored contents take on the disk, in whole blocks."""
    (blocks,) = connection.execute("SELECT blocks FROM totals").fetchone()
    return int(blocks) * BLOCK


def count(connection: sqlite3.Connection) -> IndexCounts:
    """How much of everything is there."""
    return IndexCounts(*connection.execute(COUNTS).fetchone())
