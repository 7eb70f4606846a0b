"""What a manifest says of its subject: the part of it that the referrers API answers from.

OCI image specification, "Image Manifest" and "Image Index", properties ``subject``,
``artifactType`` and ``annotations``; OCI distribution specification, "Listing Referrers".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from regcache.digests import Digest, InvalidDigestError

LONGEST_MEDIA_TYPE = 255
"""Characters of a media type that are kept: two names of 127 and a slash (RFC 6838, 4.2)."""

MOST_ANNOTATIONS = 4096
"""Characters of one manifest's annotations that are kept; what does not fit is left out."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a manifest, and what a list of referrers shows of the manifest itself."""

    digest: Digest
    artifact_type: str
    annotations: tuple[tuple[str, str], ...]


def clean_text(text: str) -> str:
    """The text without lone surrogates, which JSON can express and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def clean_media_type(media_type: str) -> str:
    """A media type of bounded length that can be stored."""
    return clean_text(media_type[:LONGEST_MEDIA_TYPE])


def find_subject(content: bytes) -> Subject | None:
    """The subject of a manifest, or None where there is none that could be asked for."""
    if b'"subject"' not in content:  # spares most manifests the parsing
        return None
    try:
        manifest = json.loads(content)
        digest = Digest.parse(manifest["subject"]["digest"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidDigestError):
        return None
    return Subject(digest, _artifact_type(manifest), _annotations(manifest))


def _artifact_type(manifest: Mapping[str, object]) -> str:
    found = manifest.get("artifactType")
    if not found:
        config = manifest.get("config")
        found = config.get("mediaType") if isinstance(config, dict) else None
    return clean_media_type(found) if isinstance(found, str) else ""


def _annotations(manifest: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    given = manifest.get("annotations")
    room = MOST_ANNOTATIONS
    kept = []
    for key, value in given.items() if isinstance(given, dict) else ():
        if isinstance(value, str) and len(key) + len(value) <= room:
            room -= len(key) + len(value)
            kept.append((clean_text(key), clean_text(value)))
    return tuple(kept)
