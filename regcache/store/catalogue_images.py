"""Reads images of a repository from the index, for the admin API."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent
from regcache.images import (
    CONFIG_TYPES,
    ImageFacts,
    ImagePage,
    ImagePin,
    ImagePlatform,
    ImageQuery,
    ImageRow,
    ListedLayer,
    NamedTag,
    PlatformContents,
    TagPast,
    Undescribed,
)
from regcache.store.catalogue_attached import find_attached
from regcache.store.catalogue_contents import RepositoryContents
from regcache.store.catalogue_freed import FreedContents
from regcache.store.catalogue_members import find_undescribed
from regcache.store.catalogue_pins import ImagePins, View
from regcache.store.catalogue_summaries import platform_state
from regcache.store.identities import find_names
from regcache.store.index_pulls import pulls_of
from regcache.store.index_schema import digest_from_key, digest_key

MOST_COUNTED = 1000
"""Most manifests that are counted of those that list a layer."""

_LISTING = "SELECT manifest_id FROM mentions WHERE digest = ? LIMIT ?"

_USED_BY = """
SELECT count(*) FROM (
    SELECT 1 FROM mentions m JOIN places p ON p.content_id = m.manifest_id AND p.place = 'disk'
    WHERE m.digest = ? LIMIT ?
)
"""

_PAST = """
SELECT h.digest, h.seen_from, h.seen_to, EXISTS (
    SELECT 1 FROM contents c JOIN places p ON p.content_id = c.id AND p.place = 'disk'
    WHERE c.digest = h.digest
) FROM tag_history h WHERE h.repository_id = ? AND h.tag = ? ORDER BY h.seen_from DESC
"""

_Tagged = dict[bytes, list[NamedTag]]


def open_repository(
    connection: sqlite3.Connection, repository: Repository
) -> RepositoryContents | None:
    """Open the contents of a repository; None if the index does not know it."""
    upstream, name = find_names(connection, repository)
    row = connection.execute(
        "SELECT id FROM repositories WHERE upstream = ? AND name = ?", (upstream, name)
    ).fetchone()
    return None if row is None else RepositoryContents(connection, int(row[0]), upstream)


def images(
    connection: sqlite3.Connection, repository: Repository, query: ImageQuery, view: View
) -> ImagePage | None:
    """Give a page of the images of a repository; None if the index does not know it."""
    contents = open_repository(connection, repository)
    if contents is None:
        return None
    tagged = _tagged(contents)
    keys = [*tagged, *contents.untagged()]
    uses = contents.last_uses() if query.sort == "last_used" else {}
    rows = sorted((_sort_key(query.sort, tagged.get(key, []), uses.get(key)), key) for key in keys)
    chosen = [row for row in rows if _matches(query.text, row[1], tagged)]
    total = len(chosen)
    if query.after is not None:
        start = (query.after[0], bytes.fromhex(str(query.after[1])))
        chosen = [row for row in chosen if row > start]
    shown = chosen[: query.limit]
    after = (shown[-1][0], shown[-1][1].hex()) if len(chosen) > len(shown) else None
    return ImagePage([_row(contents, view, key, tagged) for _, key in shown], after, total)


def _tagged(contents: RepositoryContents) -> _Tagged:
    found: _Tagged = defaultdict(list)
    for tag, key, validated_at in sorted(contents.tags()):
        found[key].append(NamedTag(tag, validated_at))
    return dict(found)


def _sort_key(sort: str, tags: Sequence[NamedTag], last_use: float | None) -> str | float:
    """The sort key of a row: names ascend, times descend; images without a tag come last."""
    if sort == "name":
        return tags[0].tag if tags else "\x7f"
    if sort == "checked":
        return -max((each.validated_at for each in tags), default=0.0)
    return -(last_use or 0.0)


def _matches(text: str, key: bytes, tagged: _Tagged) -> bool:
    names = [each.tag for each in tagged.get(key, [])]
    return not text or any(text in name for name in (*names, str(digest_from_key(key))))


def _row(contents: RepositoryContents, view: View, key: bytes, tagged: _Tagged) -> ImageRow:
    found = contents.manifest(key)
    tags = tagged.get(key, [])
    return ImageRow(
        digest=digest_from_key(key),
        media_type=found.media_type if found else "",
        tags=tags,
        platforms=_platforms(contents, key) if found else [],
        frees=sum(FreedContents(contents).goes({key}).values()),
        last_used=found.last_use if found else None,
        pinned=_pin(contents, view.patterns, key, tags) is not None,
    )


def _platforms(contents: RepositoryContents, key: bytes) -> list[ImagePlatform]:
    return [_platform(contents, each.key, each.platform) for each in contents.images(key)]


def _platform(contents: RepositoryContents, key: bytes, platform: str) -> ImagePlatform:
    found = contents.manifest(key)
    digest = digest_from_key(key)
    if found is None or not found.here:
        last_used = found.last_use if found else None
        return ImagePlatform(platform, digest, manifest_here=False, last_used=last_used)
    here, size, complete = platform_state(contents, key)
    configs = [each for each in found.listed if each.media_type in CONFIG_TYPES]
    layers = [each for each in found.listed if each not in configs[:1]]
    return ImagePlatform(
        platform,
        digest,
        manifest_here=True,
        config_here=configs[0].here if configs else None,
        layers_here=sum(each.here for each in layers),
        layers=len(layers) if found.whole else None,
        here=here,
        size=size,
        complete=complete,
        last_used=found.last_use,
    )


def find_image(
    connection: sqlite3.Connection, repository: Repository, reference: str | Digest, view: View
) -> ImageFacts | None:
    """Find an image by a tag or a digest; None if the repository does not have it."""
    contents = open_repository(connection, repository)
    if contents is None:
        return None
    tagged = _tagged(contents)
    key = _resolve(contents, tagged, reference)
    if key is None:
        return None
    found = contents.manifest(key)
    stored = contents.contents({key})
    own = FreedContents(contents).goes({key})
    tags = tagged.get(key, [])
    return ImageFacts(
        repository=repository,
        digest=digest_from_key(key),
        media_type=found.media_type if found else "",
        tags=tags,
        platforms=_platforms(contents, key) if found else [],
        attached=find_attached(connection, contents, key),
        stored=sum(stored.values()),
        own=sum(size for each, size in own.items() if each in stored),
        shared_with=_shared_with(connection, contents, stored, own),
        since=found.since if found else None,
        fetched_by=found.fetched_by if found else "",
        pulls=pulls_of(connection, contents.number, key, view.now),
        last_used=found.last_use if found else None,
        pin=_pin(contents, view.patterns, key, tags),
    )


def _resolve(
    contents: RepositoryContents, tagged: _Tagged, reference: str | Digest
) -> bytes | None:
    if isinstance(reference, str):
        named = (key for key, tags in tagged.items() if any(t.tag == reference for t in tags))
        return next(named, None)
    key = digest_key(reference)
    return key if _belongs(contents, tagged, key) else None


def _belongs(contents: RepositoryContents, tagged: Collection[bytes], key: bytes) -> bool:
    """Whether a repository has a manifest by a tag, by a right, or in an index that it has."""
    if key in tagged or key in contents.all_manifests():
        return True
    found = contents.manifest(key)
    if found is None or not found.here:
        return False
    indexes = (contents.manifest(each) for each in {*tagged, *contents.all_manifests()})
    return any(each.key == key for one in indexes if one for each in one.members)


def _shared_with(
    connection: sqlite3.Connection,
    contents: RepositoryContents,
    stored: Iterable[bytes],
    own: Collection[bytes],
) -> int:
    """How many manifests outside the image list contents of it."""
    inside = {found.number for key in stored if (found := contents.known(key))}
    others: set[int] = set()
    for key in stored:
        if key not in own and len(others) < MOST_COUNTED:
            rows = connection.execute(_LISTING, (key, MOST_COUNTED))
            others.update(number for (number,) in rows if number not in inside)
    return len(others)


def _pin(
    contents: RepositoryContents, patterns: Sequence[str], key: bytes, tags: Sequence[NamedTag]
) -> ImagePin | None:
    """The first pin of an image, by one of its tags or its digest."""
    pins = ImagePins(contents.connection, contents.number, patterns)
    found = (pins.by(tag, key) for tag in ([each.tag for each in tags] or [""]))
    return next((pin for pin in found if pin is not None), None)


def platform_contents(
    connection: sqlite3.Connection, content: RepositoryContent
) -> PlatformContents | None:
    """Give a platform's manifest and what it lists; None if the repository does not have it."""
    contents = open_repository(connection, content.repository)
    if contents is None:
        return None
    key = digest_key(content.digest)
    found = contents.manifest(key)
    if found is None or not found.here or not _belongs(contents, _tagged(contents), key):
        return None
    return PlatformContents(
        content.digest,
        found.media_type,
        found.stored,
        [
            ListedLayer(
                digest=digest_from_key(each.key),
                media_type=each.media_type,
                size=each.size,
                here=each.size if each.here else 0,
                used_by=connection.execute(_USED_BY, (each.key, MOST_COUNTED)).fetchone()[0],
            )
            for each in found.listed
        ],
    )


def undescribed(
    connection: sqlite3.Connection, repository: Repository, limit: int
) -> list[Undescribed]:
    """Give stored manifests of a repository whose details the index does not have yet."""
    contents = open_repository(connection, repository)
    return [] if contents is None else find_undescribed(connection, contents.number, limit)


def history(connection: sqlite3.Connection, repository: Repository, tag: str) -> list[TagPast]:
    """Give the digests that a tag has named, the latest first."""
    contents = open_repository(connection, repository)
    if contents is None:
        return []
    return [
        TagPast(digest_from_key(key), seen_from, seen_to, bool(here))
        for key, seen_from, seen_to, here in connection.execute(_PAST, (contents.number, tag))
    ]
