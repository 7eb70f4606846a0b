"""What goes with an image and is none: attestations, signatures, bills of materials.

There are three ways by which they are found: a manifest whose subject the image is (OCI
distribution specification, "Listing Referrers"); cosign's tags ``sha256-<hex>.sig``, ``.att`` and
``.sbom``; and BuildKit's attestations, which an index lists among the images.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator

from regcache.images import UNKNOWN_PLATFORM, Attached
from regcache.store.catalogue_contents import RepositoryContents
from regcache.store.index_schema import digest_from_key

KINDS = ("attestation", "signature", "sbom", "other")
"""In the order in which they are told."""

MOST_ATTACHED = 1000
"""Referrers of one manifest that are counted."""

_REFERRERS = """
SELECT s.artifact_type, c.digest FROM referrers r
JOIN subjects s ON s.manifest_id = r.manifest_id
JOIN contents c ON c.id = r.manifest_id
WHERE r.repository_id = ? AND r.subject = ? LIMIT ?
"""
_TAG = "SELECT digest FROM tags WHERE repository_id = ? AND tag = ?"
_SUFFIXES = {"sig": "signature", "att": "attestation", "sbom": "sbom"}
_WORDS = {
    "sbom": ("sbom", "spdx", "cyclonedx", "syft"),
    "signature": ("signature", "cosign", "sigstore", "notary"),
    "attestation": ("attestation", "in-toto", "provenance", "dsse", "slsa"),
}


def kind_of(artifact_type: str) -> str:
    """What an artifact is, by the words in its type."""
    text = artifact_type.lower()
    fits = (kind for kind, words in _WORDS.items() if any(word in text for word in words))
    return next(fits, "other")


def find_attached(
    connection: sqlite3.Connection, contents: RepositoryContents, key: bytes
) -> list[Attached]:
    """How many of each kind an image has, and how many of them are here."""
    known: Counter[str] = Counter()
    here: Counter[str] = Counter()
    seen: set[bytes] = set()
    for kind, found in _all(connection, contents, key):
        if found in seen:
            continue
        seen.add(found)
        known[kind] += 1
        manifest = contents.manifest(found)
        here[kind] += manifest is not None and manifest.here
    return [Attached(kind, known[kind], here[kind]) for kind in KINDS if known[kind]]


def _all(
    connection: sqlite3.Connection, contents: RepositoryContents, key: bytes
) -> Iterator[tuple[str, bytes]]:
    found = contents.manifest(key)
    members = found.members if found else []
    for each in members:
        if each.attests or each.platform == UNKNOWN_PLATFORM:
            yield "attestation", each.key
    for subject in (key, *(each.key for each in members)):
        rows = connection.execute(_REFERRERS, (contents.number, subject, MOST_ATTACHED))
        yield from ((kind_of(artifact_type), each) for artifact_type, each in rows.fetchall())
        name = str(digest_from_key(subject)).replace(":", "-")
        for suffix, kind in _SUFFIXES.items():
            row = connection.execute(_TAG, (contents.number, f"{name}.{suffix}")).fetchone()
            if row is not None:
                yield kind, row[0]
