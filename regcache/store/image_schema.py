"""Which stored contents are images, and how many tags each has: ``places.tags``, kept by triggers.

Plans count images and tags of all that is stored. To look for the tags of each manifest, and for
what lists it, took most of their time. NULL stands for what is no image by itself: content that is
no manifest, or that a stored manifest lists.

================================  ================================================================
what changes                      what is set
================================  ================================================================
a place comes                     its own; what it lists is no image any more
a place goes                      what it listed may be an image again
a stored manifest lists content,  that of the content
or does so no more
content turns out to be a         its own
manifest, or is none any more
a tag comes, moves or goes        one more, or one less
================================  ================================================================
"""

_TAGS = """(
        SELECT iif(
            c.media_type != '' AND NOT EXISTS (
                SELECT 1 FROM mentions m JOIN places q ON q.content_id = m.manifest_id
                WHERE m.digest = c.digest
            ),
            (SELECT count(*) FROM tags t WHERE t.digest = c.digest), NULL
        )
        FROM contents c WHERE c.id = content_id
    )"""

_LISTED = """(
        SELECT c.id FROM mentions m JOIN contents c ON c.digest = m.digest
        WHERE m.manifest_id = {} AND c.media_type != ''
    )"""

_OF_DIGEST = "(SELECT id FROM contents WHERE digest = {})"

_SAME_TAG = "repository_id = NEW.repository_id AND tag = NEW.tag"
_BEFORE = f"(SELECT digest FROM tags WHERE {_SAME_TAG})"

IMAGES = f"""
ALTER TABLE places ADD COLUMN tags INTEGER;  -- NULL: it is no image by itself
UPDATE places SET tags = {_TAGS}
WHERE content_id IN (SELECT id FROM contents WHERE media_type != '');
CREATE TRIGGER images_stored AFTER INSERT ON places
WHEN (SELECT media_type FROM contents WHERE id = NEW.content_id) != '' BEGIN
    UPDATE places SET tags = {_TAGS} WHERE content_id = NEW.content_id;
    UPDATE places SET tags = NULL
    WHERE tags IS NOT NULL AND content_id IN {_LISTED.format("NEW.content_id")};
END;
CREATE TRIGGER images_dropped AFTER DELETE ON places BEGIN
    UPDATE places SET tags = {_TAGS}
    WHERE tags IS NULL AND content_id IN {_LISTED.format("OLD.content_id")};
END;
CREATE TRIGGER images_listed AFTER INSERT ON mentions
WHEN EXISTS (SELECT 1 FROM places WHERE content_id = NEW.manifest_id) BEGIN
    UPDATE places SET tags = NULL
    WHERE tags IS NOT NULL AND content_id = {_OF_DIGEST.format("NEW.digest")};
END;
CREATE TRIGGER images_listed_no_more AFTER DELETE ON mentions BEGIN
    UPDATE places SET tags = {_TAGS}
    WHERE tags IS NULL AND content_id = {_OF_DIGEST.format("OLD.digest")};
END;
CREATE TRIGGER images_known AFTER UPDATE OF media_type ON contents
WHEN (NEW.media_type = '') != (OLD.media_type = '') BEGIN
    UPDATE places SET tags = {_TAGS} WHERE content_id = NEW.id;
END;
CREATE TRIGGER images_tagged BEFORE INSERT ON tags
WHEN NEW.digest IS NOT {_BEFORE} BEGIN
    UPDATE places SET tags = tags - 1 WHERE content_id = {_OF_DIGEST.format(_BEFORE)};
    UPDATE places SET tags = tags + 1 WHERE content_id = {_OF_DIGEST.format("NEW.digest")};
END;
CREATE TRIGGER images_untagged AFTER DELETE ON tags BEGIN
    UPDATE places SET tags = tags - 1 WHERE content_id = {_OF_DIGEST.format("OLD.digest")};
END;
"""
"""The script that adds this to an index. Tags are replaced by inserting, which deletes nothing as
far as triggers are told: so the trigger of insertion looks at what was there before."""
