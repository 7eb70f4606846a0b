"""The tables of the index behind what operators are shown of images, kept up to date by triggers.

``members`` and ``described`` keep what manifests and configurations say of platforms. ``summaries``
has a row for each repository, so that lists of all repositories need no walk; a row is made anew
when they are asked for (:mod:`regcache.store.catalogue_summaries`). Triggers only note for which
repositories that is due (``outdated``):

============================  ====================================================================
what changes                  whose row is due
============================  ====================================================================
a right, a tag, a pin         the repository's, and of two others that have the same content:
                              with more of them nothing changes for anybody else
content comes or goes         all that have a right to it, or have what lists it
a stored manifest lists       those of one more manifest that lists it: with more of them it was,
content, or does so no more   and stays, shared
all is known that a manifest  as where it comes
lists
============================  ====================================================================
"""

MOST_MARKED = 5000
"""Repositories that one change makes due. Those beyond are found by the daily round."""

MOST_REMEMBERED = 20
"""What one tag named before: so many digests are kept."""

MARK_DUE = "INSERT INTO outdated (repository_id) {} ON CONFLICT DO UPDATE SET changes = changes + 1"
"""Note of some repositories that their rows are due."""

_DUE = f"{MARK_DUE};"

# Upsert from a SELECT needs a WHERE (SQLite, "Parsing Ambiguity").
_HAVING = """SELECT repository_id FROM (
        SELECT repository_id FROM links WHERE content_id = {0} LIMIT 3) WHERE true"""
_HAVING_DIGEST = """SELECT repository_id FROM (
        SELECT l.repository_id FROM contents c JOIN links l ON l.content_id = c.id
        WHERE c.digest = {0} LIMIT 3) WHERE true"""
_ALL_HAVING = f"""SELECT repository_id FROM (
        SELECT repository_id FROM links WHERE content_id = {{0}}
        UNION
        SELECT l.repository_id FROM contents c JOIN mentions m ON m.digest = c.digest
        JOIN links l ON l.content_id = m.manifest_id WHERE c.id = {{0}}
        UNION
        SELECT l.repository_id FROM contents c JOIN mentions m ON m.digest = c.digest
        JOIN contents k ON k.id = m.manifest_id JOIN mentions n ON n.digest = k.digest
        JOIN links l ON l.content_id = n.manifest_id WHERE c.id = {{0}}
        UNION
        SELECT t.repository_id FROM contents c JOIN tags t ON t.digest = c.digest
        WHERE c.id = {{0}}
        UNION
        SELECT t.repository_id FROM contents c JOIN mentions m ON m.digest = c.digest
        JOIN contents k ON k.id = m.manifest_id JOIN tags t ON t.digest = k.digest
        WHERE c.id = {{0}}
        LIMIT {MOST_MARKED}) WHERE true"""
_ANOTHER_LISTER = """SELECT l.repository_id FROM links l WHERE l.content_id = (
        SELECT m.manifest_id FROM mentions m JOIN places p ON p.content_id = m.manifest_id
        WHERE m.digest = {0} AND m.manifest_id != {1} LIMIT 1)"""
_OTHER_LISTERS = """SELECT l.repository_id FROM mentions m JOIN links l ON l.content_id = (
        SELECT o.manifest_id FROM mentions o JOIN places p ON p.content_id = o.manifest_id
        WHERE o.digest = m.digest AND o.manifest_id != m.manifest_id LIMIT 1)
        WHERE m.manifest_id = {0}"""
_OTHERS_HAVING = """SELECT r.id FROM mentions m JOIN repositories r ON r.id IN (
        SELECT l.repository_id FROM contents c JOIN links l ON l.content_id = c.id
        WHERE c.digest = m.digest LIMIT 3)
        WHERE m.manifest_id = {0}"""

MARK_LISTED = (
    MARK_DUE.format(_OTHER_LISTERS.format(":manifest")),
    MARK_DUE.format(_OTHERS_HAVING.format(":manifest")),
)
"""Note whom it concerns that a manifest lists what it lists, or does so no more."""


def _trigger(name: str, event: str, *selects: str, before: str = "") -> str:
    body = "\n    ".join(_DUE.format(each) for each in selects)
    return f"CREATE TRIGGER {name} AFTER {event} BEGIN\n    {body}\n    {before}\nEND;\n"


_TABLES = """
CREATE TABLE members (                  -- what an index says of the manifests that it lists
    manifest_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    position INTEGER NOT NULL,
    platform TEXT NOT NULL,             -- os/architecture[/variant]; '' where it does not say
    attests INTEGER NOT NULL,           -- 1: it is an attestation, and no image
    PRIMARY KEY (manifest_id, digest)
) WITHOUT ROWID;
CREATE TABLE described (                -- manifests of which all is known that can be
    manifest_id INTEGER PRIMARY KEY,
    platform TEXT NOT NULL              -- by the configuration of an image; '' for none
);
CREATE TABLE tag_history (              -- what tags have named
    repository_id INTEGER NOT NULL,
    tag TEXT NOT NULL,
    seen_from REAL NOT NULL,
    seen_to REAL,                       -- when it first named something else; NULL: it is named
    digest BLOB NOT NULL,
    PRIMARY KEY (repository_id, tag, seen_from)
) WITHOUT ROWID;
CREATE TABLE pulls (                    -- see regcache.store.index_pulls
    repository_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    slot INTEGER NOT NULL,              -- of 30 hours
    count INTEGER NOT NULL,
    listed INTEGER NOT NULL,            -- 1: an index lists it, so it is no image by itself
    PRIMARY KEY (repository_id, digest, slot)
) WITHOUT ROWID;
CREATE TABLE summaries (
    repository_id INTEGER PRIMARY KEY,
    made_at REAL NOT NULL,
    last_used REAL,
    pulls INTEGER NOT NULL,             -- within 30 days
    stored INTEGER NOT NULL,            -- bytes that are here
    own INTEGER NOT NULL,               -- of them, those that nothing else needs
    tags INTEGER NOT NULL,
    pinned INTEGER NOT NULL,            -- tags
    partial INTEGER NOT NULL,           -- platforms of tags that are partly here
    details TEXT NOT NULL               -- JSON
);
CREATE INDEX summaries_by_age ON summaries (made_at);
CREATE TABLE outdated (                 -- of which repositories the summary is due
    repository_id INTEGER PRIMARY KEY,
    changes INTEGER NOT NULL DEFAULT 1
);
INSERT INTO outdated (repository_id) SELECT id FROM repositories;
INSERT INTO tag_history SELECT repository_id, tag, validated_at, NULL, digest FROM tags;
"""

_SAME_TAG = "repository_id = NEW.repository_id AND tag = NEW.tag"
_TAG_TRIGGERS = f"""
CREATE TRIGGER tags_named BEFORE INSERT ON tags
WHEN NOT EXISTS (SELECT 1 FROM tags WHERE {_SAME_TAG} AND digest = NEW.digest) BEGIN
    {_DUE.format("VALUES (NEW.repository_id)")}
    {_DUE.format(_HAVING_DIGEST.format("NEW.digest"))}
    {_DUE.format(_HAVING_DIGEST.format(f"(SELECT digest FROM tags WHERE {_SAME_TAG})"))}
    UPDATE tag_history SET seen_to = NEW.validated_at WHERE {_SAME_TAG} AND seen_to IS NULL;
    INSERT OR REPLACE INTO tag_history
    VALUES (NEW.repository_id, NEW.tag, NEW.validated_at, NULL, NEW.digest);
    DELETE FROM tag_history WHERE {_SAME_TAG} AND seen_from < (
        SELECT seen_from FROM tag_history WHERE {_SAME_TAG}
        ORDER BY seen_from DESC LIMIT 1 OFFSET {MOST_REMEMBERED - 1});
END;
"""

_LAST_USED = """
CREATE TRIGGER uses_{0} AFTER {1} ON uses
WHEN (SELECT media_type FROM contents WHERE id = NEW.content_id) != '' BEGIN
    UPDATE summaries SET last_used = max(ifnull(last_used, 0), NEW.last_use)
    WHERE repository_id IN (SELECT repository_id FROM links WHERE content_id = NEW.content_id);
END;
"""

CATALOGUE = "".join(
    (
        _TABLES,
        _TAG_TRIGGERS,
        _LAST_USED.format("noted", "INSERT"),
        _LAST_USED.format("added", "UPDATE"),
        _trigger(
            "tags_dropped",
            "DELETE ON tags",
            "VALUES (OLD.repository_id)",
            _HAVING_DIGEST.format("OLD.digest"),
            before="DELETE FROM tag_history"
            " WHERE repository_id = OLD.repository_id AND tag = OLD.tag;",
        ),
        _trigger(
            "links_seen",
            "INSERT ON links",
            "VALUES (NEW.repository_id)",
            _HAVING.format("NEW.content_id"),
        ),
        _trigger(
            "links_unseen",
            "DELETE ON links",
            "VALUES (OLD.repository_id)",
            _HAVING.format("OLD.content_id"),
        ),
        _trigger("rights_withdrawn", "INSERT ON withdrawn", "VALUES (NEW.repository_id)"),
        _trigger(
            "places_seen",
            "INSERT ON places",
            _ALL_HAVING.format("NEW.content_id"),
            _OTHER_LISTERS.format("NEW.content_id"),
            _OTHERS_HAVING.format("NEW.content_id"),
        ),
        _trigger(
            "places_unseen",
            "DELETE ON places",
            _ALL_HAVING.format("OLD.content_id"),
            _OTHER_LISTERS.format("OLD.content_id"),
            _OTHERS_HAVING.format("OLD.content_id"),
        ),
        _trigger(
            "places_changed",
            "UPDATE OF size ON places WHEN NEW.size != OLD.size",
            _ALL_HAVING.format("NEW.content_id"),
        ),
        _trigger(
            "contents_published",
            "UPDATE OF public ON contents WHEN NEW.public != OLD.public",
            _ALL_HAVING.format("NEW.id"),
        ),
        _trigger(
            "mentions_seen",
            "INSERT ON mentions",
            _ANOTHER_LISTER.format("NEW.digest", "NEW.manifest_id"),
            _HAVING_DIGEST.format("NEW.digest"),
        ),
        _trigger(
            "mentions_unseen",
            "DELETE ON mentions",
            _ANOTHER_LISTER.format("OLD.digest", "OLD.manifest_id"),
            _HAVING_DIGEST.format("OLD.digest"),
        ),
        _trigger(
            "manifests_described", "INSERT ON described", _ALL_HAVING.format("NEW.manifest_id")
        ),
        _trigger("pins_set", "INSERT ON pins", "VALUES (NEW.repository_id)"),
        _trigger("pins_unset", "DELETE ON pins", "VALUES (OLD.repository_id)"),
        """
CREATE TRIGGER repositories_vanished AFTER DELETE ON repositories BEGIN
    DELETE FROM summaries WHERE repository_id = OLD.id;
    DELETE FROM outdated WHERE repository_id = OLD.id;
    DELETE FROM tag_history WHERE repository_id = OLD.id;
    DELETE FROM pulls WHERE repository_id = OLD.id;
END;
""",
    )
)
"""The script that adds all of this to an index."""

# Earlier versions kept so many of what a manifest lists.
_KEPT_EARLIER = 1024

LISTS = f"""
CREATE TABLE partly_known (             -- manifests that list more than is recorded
    manifest_id INTEGER PRIMARY KEY
);
INSERT INTO partly_known
SELECT manifest_id FROM mentions GROUP BY manifest_id HAVING count(*) >= {_KEPT_EARLIER};
INSERT INTO outdated (repository_id)
SELECT DISTINCT l.repository_id FROM partly_known k JOIN links l ON l.content_id = k.manifest_id
WHERE true ON CONFLICT DO UPDATE SET changes = changes + 1;
""" + _trigger("lists_completed", "DELETE ON partly_known", _ALL_HAVING.format("OLD.manifest_id"))
"""The script that finds what earlier versions recorded in part. It is read again from the disk."""
