"""Statements about names: repositories, tags, manifests and their referrers, verdicts.

The referrers API is answered from what manifests say of their subjects. That was parsed, with the
rest of the manifest, in another thread: the index's thread only writes it.
"""

import json
import sqlite3
from collections.abc import Sequence

from regcache.digests import Digest
from regcache.facts import Descriptor, Manifest, Subject, TagFact, Verdict
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.light_dataclass import dataclass
from regcache.store import index_pins, index_places
from regcache.store.catalogue_members import find_stored, note_members
from regcache.store.identities import find_names, note_names
from regcache.store.index_contents import (
    Proof,
    is_outdated,
    link_content,
    repository_id,
    show_mentions,
    store_content,
)
from regcache.store.index_schema import digest_from_key, digest_key

MOST_REFERRERS = 1000
"""Referrers of one subject that are answered."""

MOST_TAGS = 2000
"""Tags of one page; a request for more gets no more."""

MOST_REPOSITORIES = 1000
"""Repositories of one page; a request for more gets no more."""

MOST_CANDIDATES = 16
"""Manifests of one repository, by tag and without, among which the latest are looked for."""

MOST_VERDICTS = 250_000
"""Verdicts that are kept, the latest asked. Clients can make up names that get one."""

_LARGEST_SIZE = 2**63 - 1

TAG = """
SELECT t.digest, t.validated_at
FROM repositories r JOIN tags t ON t.repository_id = r.id
WHERE r.upstream = ? AND r.name = ? AND t.tag = ?
"""

TAGS = """
SELECT t.tag FROM repositories r JOIN tags t ON t.repository_id = r.id
WHERE r.upstream = ? AND r.name = ? AND t.tag > ? ORDER BY t.tag LIMIT ?
"""

REPOSITORIES = """
SELECT name FROM repositories
WHERE stored > 0 AND upstream = ? AND name > ? ORDER BY name LIMIT ?
"""

REFERRERS = """
SELECT c.digest, c.size, c.media_type, s.artifact_type, s.annotations
FROM repositories r
JOIN referrers f ON f.repository_id = r.id
JOIN subjects s ON s.manifest_id = f.manifest_id
JOIN contents c ON c.id = f.manifest_id
JOIN places p ON p.content_id = c.id AND p.place = 'disk'
JOIN links l
    ON l.content_id = f.manifest_id AND l.upstream = r.upstream AND l.repository_id = r.id
WHERE r.upstream = ? AND r.name = ? AND f.subject = ?
ORDER BY f.manifest_id LIMIT ?
"""

KNOWN_MANIFESTS = """
WITH r AS (SELECT id, upstream FROM repositories WHERE upstream = :upstream AND name = :name),
candidates (id, shown_at) AS (
    SELECT c.id, t.validated_at
    FROM (
        SELECT digest, validated_at FROM tags WHERE repository_id = (SELECT id FROM r)
        ORDER BY validated_at DESC LIMIT :most
    ) t
    JOIN contents c ON c.digest = t.digest
    UNION ALL
    SELECT manifest_id, 0.0
    FROM (
        SELECT DISTINCT manifest_id FROM shown WHERE repository_id = (SELECT id FROM r)
        LIMIT :most
    )
)
SELECT c.digest, max(max(l.proved_at, k.shown_at)) AS last
FROM candidates k
JOIN r
JOIN contents c ON c.id = k.id
JOIN links l ON l.content_id = c.id AND l.upstream = r.upstream AND l.repository_id = r.id
WHERE c.media_type != ''
AND EXISTS (SELECT 1 FROM places WHERE content_id = c.id AND place = 'disk')
GROUP BY c.id ORDER BY last DESC LIMIT 2
"""

CLOSED = "SELECT closed_since FROM repositories WHERE upstream = ? AND name = ?"

VERDICT = "SELECT public, asked_at FROM verdicts WHERE upstream = ? AND name = ?"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a manifest says of itself for the referrers API."""

    descriptors: Sequence[Descriptor]
    subject: Subject | None


def find_tag(connection: sqlite3.Connection, repository: Repository, tag: str) -> TagFact | None:
    """What a cached tag names."""
    row = connection.execute(TAG, (*find_names(connection, repository), tag)).fetchone()
    return None if row is None else TagFact(digest_from_key(row[0]), row[1])


def record_tag(
    connection: sqlite3.Connection,
    repository: Repository,
    tag: str,
    digest: Digest,
    *,
    now: float,
    began: int | None = None,
    pinned: bool = False,
) -> None:
    """Record what a tag names.

    :param began: how many removals there were when the upstream was asked.
    :param pinned: whether a pattern pins the tag.
    """
    if is_outdated(connection, RepositoryContent(repository, digest), began):
        return
    number = repository_id(connection, note_names(connection, repository))
    connection.execute(
        "INSERT OR REPLACE INTO tags (repository_id, tag, digest, validated_at)"
        " VALUES (?, ?, ?, ?)",
        (number, tag, digest_key(digest), now),
    )
    index_pins.tag_noted(connection, number, tag, digest_key(digest), by_pattern=pinned)


def drop_tag(connection: sqlite3.Connection, repository: Repository, tag: str) -> None:
    """Forget a tag."""
    connection.execute(
        "DELETE FROM tags WHERE tag = ? AND repository_id ="
        " (SELECT id FROM repositories WHERE upstream = ? AND name = ?)",
        (tag, *find_names(connection, repository)),
    )


def list_tags(
    connection: sqlite3.Connection, repository: Repository, after: str, limit: int
) -> list[str]:
    """A sorted page of the cached tags of a repository."""
    limit = max(0, min(limit, MOST_TAGS))
    rows = connection.execute(TAGS, (*find_names(connection, repository), after, limit))
    return [tag for (tag,) in rows]


def record_manifest(
    connection: sqlite3.Connection,
    repository: Repository,
    manifest: Manifest,
    statement: Statement,
    proof: Proof,
) -> None:
    """Record a verified manifest fetched through a repository: content, mentions and link."""
    if is_outdated(connection, RepositoryContent(repository, manifest.digest), proof.began):
        return
    content = store_content(
        connection,
        manifest.digest,
        len(manifest.content),
        media_type=clean_media_type(manifest.media_type),
        public=not proof.credentials,
        now=proof.now,
        fetched_by=proof.asked_by,
    )
    _record_mentions(connection, content, statement.descriptors)
    index_pins.manifest_noted(connection, digest_key(manifest.digest))
    note_members(connection, content, manifest.media_type, statement.descriptors)
    if statement.subject is not None:
        _record_subject(connection, content, statement.subject)
    link_content(connection, repository, content, proof)


def complete_list(
    connection: sqlite3.Connection, digest: Digest, descriptors: Sequence[Descriptor]
) -> None:
    """Record all that a stored manifest lists, of which an earlier version recorded a part."""
    found = find_stored(connection, digest)
    if found is None:
        return
    manifest, media_type = found
    _record_mentions(connection, manifest, descriptors)
    index_pins.manifest_noted(connection, digest_key(digest))
    note_members(connection, manifest, media_type, descriptors)
    rows = connection.execute("SELECT repository_id FROM links WHERE content_id = ?", (manifest,))
    for (repository,) in rows.fetchall():
        show_mentions(connection, manifest, repository)


def _record_mentions(
    connection: sqlite3.Connection, manifest: int, descriptors: Sequence[Descriptor]
) -> None:
    """Record what a manifest lists: all of it, since what is complete has to be known.

    :mod:`regcache.manifest_body` takes none that lists more than ``MOST_DESCRIPTORS``.
    """
    connection.executemany(
        "INSERT INTO mentions (manifest_id, digest, size, media_type, position)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position"
        " WHERE position IS NULL",
        [
            (manifest, digest_key(each.digest), each.size, clean_media_type(each.media_type), place)
            for place, each in enumerate(descriptors)
            if 0 <= each.size <= _LARGEST_SIZE
        ],
    )
    connection.execute("DELETE FROM partly_known WHERE manifest_id = ?", (manifest,))
    index_places.note_needed(connection, manifest)


def _record_subject(connection: sqlite3.Connection, manifest: int, subject: Subject) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO subjects (manifest_id, subject, artifact_type, annotations)"
        " VALUES (?, ?, ?, ?)",
        (
            manifest,
            digest_key(subject.digest),
            clean_media_type(subject.artifact_type),
            json.dumps(clean_annotations(subject.annotations)),
        ),
    )


def list_referrers(connection: sqlite3.Connection, subject: RepositoryContent) -> list[Descriptor]:
    """Stored manifests of the repository whose subject is the digest, in order of arrival."""
    rows = connection.execute(
        REFERRERS,
        (*find_names(connection, subject.repository), digest_key(subject.digest), MOST_REFERRERS),
    )
    return [
        Descriptor(
            digest=digest_from_key(key),
            size=size,
            media_type=media_type,
            artifact_type=artifact_type,
            annotations=tuple(json.loads(annotations).items()),
        )
        for key, size, media_type, artifact_type, annotations in rows
    ]


def list_repositories(
    connection: sqlite3.Connection, upstream: UpstreamIdentity, after: str, limit: int
) -> list[str]:
    """A sorted page of the names of repositories that have stored content."""
    limit = max(0, min(limit, MOST_REPOSITORIES))
    key, after = find_names(connection, Repository(upstream, after))
    rows = connection.execute(REPOSITORIES, (key, after, limit))
    return [name for (name,) in rows]


def known_manifests(connection: sqlite3.Connection, repository: Repository) -> list[Digest]:
    """At most two stored manifests of a repository, the latest first."""
    upstream, name = find_names(connection, repository)
    names = {"upstream": upstream, "name": name, "most": MOST_CANDIDATES}
    return [digest_from_key(key) for key, _ in connection.execute(KNOWN_MANIFESTS, names)]


def find_verdict(connection: sqlite3.Connection, repository: Repository) -> Verdict | None:
    """The last answer to "can this repository be read without credentials?"."""
    row = connection.execute(VERDICT, find_names(connection, repository)).fetchone()
    return None if row is None else Verdict(bool(row[0]), row[1])


def record_verdict(
    connection: sqlite3.Connection,
    repository: Repository,
    public: bool,
    now: float,
    most: int = MOST_VERDICTS,
) -> None:
    """Record such an answer. Keep only the latest ``most`` of all."""
    cursor = connection.execute(
        "INSERT OR REPLACE INTO verdicts (upstream, name, public, asked_at) VALUES (?, ?, ?, ?)",
        (*note_names(connection, repository), public, now),
    )
    oldest = (cursor.lastrowid or 0) - most
    connection.execute("DELETE FROM verdicts WHERE id <= ?", (oldest,))


def find_closed(connection: sqlite3.Connection, repository: Repository) -> float | None:
    """Since when a repository is closed to good credentials."""
    row = connection.execute(CLOSED, find_names(connection, repository)).fetchone()
    return None if row is None else row[0]


def record_closed(
    connection: sqlite3.Connection, repository: Repository, since: float | None
) -> None:
    """Record that, but only of repositories of which something is known: clients invent names."""
    connection.execute(
        "UPDATE repositories SET closed_since = ? WHERE upstream = ? AND name = ?",
        (since, *find_names(connection, repository)),
    )


LONGEST_MEDIA_TYPE = 255
"""Characters of a media type that are kept: two names of 127 and a slash (RFC 6838, 4.2)."""

MOST_ANNOTATIONS = 4096
"""Characters of one manifest's annotations that are kept; what does not fit is left out."""


def clean_text(text: str) -> str:
    """A text without lone surrogates, which JSON can encode and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clean_media_type(media_type: str) -> str:
    """A media type, cut to a bounded length, that can be stored."""
    return clean_text(media_type[:LONGEST_MEDIA_TYPE])


def clean_annotations(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Annotations, cut to a bounded length in all, that can be stored."""
    room = MOST_ANNOTATIONS
    kept = {}
    for key, value in given:
        if len(key) + len(value) <= room:
            room -= len(key) + len(value)
            kept[clean_text(key)] = clean_text(value)
    return kept
