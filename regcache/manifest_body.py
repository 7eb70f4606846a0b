"""What a manifest says: parsed and checked, without trusting its author.

OCI image specification, "Image Manifest" and "Image Index". A body whose kind is ambiguous
is refused (GHSA-77vh-xpmg-72qh: one client would read an index, another a manifest).
"""

from collections.abc import Mapping

from regcache.digests import Digest, InvalidDigestError
from regcache.facts import Descriptor, Subject
from regcache.light_dataclass import dataclass
from regcache.media_types import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    base_type,
)
from regcache.parsing import TooManyValuesError, load_json

#: The largest manifest that is taken or served (bytes), the usual limit of registries.
MOST_BYTES = 4 * 1024 * 1024
#: Descriptors of one manifest or index. Real ones have some dozens.
MOST_DESCRIPTORS = 4096
#: Annotations kept of one descriptor; they are the author's.
MOST_ANNOTATIONS = 64

_SIGNIFICANT = frozenset({"schemaVersion", "mediaType", "manifests", "layers", "config", "subject"})
_FOLDED = frozenset(key.casefold() for key in _SIGNIFICANT)


class InvalidManifestError(ValueError):
    """The body is no manifest, or not of the type that it is said to be."""


@dataclass(frozen=True, slots=True)
class ManifestBody:
    """A parsed manifest or index.

    :ivar descriptors: config and layers, or the manifests of an index; each digest once.
    :ivar subject: what this one refers to, if anything.
    """

    media_type: str
    descriptors: tuple[Descriptor, ...]
    subject: Subject | None = None

    @property
    def is_index(self) -> bool:
        """Whether this lists manifests, not layers."""
        return self.media_type in INDEX_TYPES

    def child_for(self, platform: str) -> Digest | None:
        """The manifest of a platform (``os/architecture``), if this is an index that has it.

        One without a variant goes before one that names a variant.
        """
        if not self.is_index:
            return None
        exact = [each for each in self.descriptors if each.platform == platform]
        variants = [each for each in self.descriptors if each.platform.startswith(f"{platform}/")]
        return next((each.digest for each in (*exact, *variants)), None)


def parse_manifest(content: bytes, content_type: str) -> ManifestBody:
    """Parse a manifest that came with a Content-Type.

    :raises InvalidManifestError: where it is none, or the types contradict each other.
    """
    body = _load(content)
    media_type = _media_type(body, base_type(content_type))
    members = _member_list(body, "manifests" if media_type in INDEX_TYPES else "layers")
    config = body.get("config")
    if config is not None and media_type not in INDEX_TYPES:
        members = [config, *members]
    if len(members) > MOST_DESCRIPTORS:
        raise InvalidManifestError(f"it lists more than {MOST_DESCRIPTORS:,} descriptors")
    descriptors = {found.digest: found for found in map(_descriptor, members)}
    return ManifestBody(media_type, tuple(descriptors.values()), _subject(body))


def _load(content: bytes) -> dict[str, object]:
    try:
        body = load_json(content)
    except TooManyValuesError as error:
        raise InvalidManifestError(str(error)) from error
    except ValueError as error:
        raise InvalidManifestError("the body is no JSON") from error
    if not isinstance(body, dict):
        raise InvalidManifestError("the body is no JSON object")
    if any(key not in _SIGNIFICANT and key.casefold() in _FOLDED for key in body):
        # Many clients do not tell "Manifests" from "manifests", and would read another kind.
        raise InvalidManifestError("a key differs from a standard one in case only")
    if body.get("schemaVersion") != 2:
        raise InvalidManifestError("schemaVersion is not 2")
    return body


def _media_type(body: Mapping[str, object], declared: str) -> str:
    """The type that header, ``mediaType`` and content agree on."""
    inner = body.get("mediaType")
    if inner is not None and not isinstance(inner, str):
        raise InvalidManifestError("mediaType is no text")
    lists, layers = "manifests" in body, "layers" in body or "config" in body
    if lists == layers:
        raise InvalidManifestError("it must have either manifests or layers")
    generic = declared in ("", "application/json", "application/octet-stream", "text/plain")
    media_type = (inner or "") if generic else declared
    if not media_type:
        media_type = OCI_INDEX if lists else OCI_MANIFEST
    if media_type not in MANIFEST_TYPES:
        raise InvalidManifestError("its media type is none of a manifest")
    if inner is not None and inner != media_type:
        raise InvalidManifestError("mediaType contradicts the Content-Type")
    if (media_type in INDEX_TYPES) != lists:
        raise InvalidManifestError("its content contradicts its media type")
    if media_type in (DOCKER_LIST, DOCKER_MANIFEST) and inner is None:
        raise InvalidManifestError("a Docker manifest needs a mediaType")
    return media_type


def _member_list(body: Mapping[str, object], key: str) -> list[object]:
    members = body.get(key, [])
    if not isinstance(members, list):
        raise InvalidManifestError(f"{key} is no list")
    return members


def _descriptor(value: object) -> Descriptor:
    if not isinstance(value, dict):
        raise InvalidManifestError("a descriptor is no object")
    size, digest, media_type = value.get("size"), value.get("digest"), value.get("mediaType", "")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise InvalidManifestError("a descriptor's size is no size")
    if not isinstance(digest, str) or not isinstance(media_type, str):
        raise InvalidManifestError("a descriptor lacks its digest or media type")
    try:
        name = Digest.parse(digest)
    except InvalidDigestError as error:
        raise InvalidManifestError("a descriptor's digest is none") from error
    artifact_type = value.get("artifactType", "")
    return Descriptor(
        name,
        size,
        media_type[:255],
        platform=_platform(value.get("platform")),
        artifact_type=artifact_type[:255] if isinstance(artifact_type, str) else "",
        annotations=_annotations(value.get("annotations")),
    )


def _platform(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    parts = [value.get(key) for key in ("os", "architecture", "variant")]
    return "/".join(part[:64] for part in parts if isinstance(part, str) and part)


def _subject(body: Mapping[str, object]) -> Subject | None:
    subject = body.get("subject")
    if subject is None:
        return None
    annotations = _annotations(body.get("annotations"))
    return Subject(_descriptor(subject).digest, _artifact_type(body), annotations)


def _artifact_type(body: Mapping[str, object]) -> str:
    """OCI distribution specification, "Listing Referrers": the config's type is the fallback."""
    declared = body.get("artifactType")
    if isinstance(declared, str) and declared:
        return declared[:255]
    config = body.get("config")
    fallback = config.get("mediaType") if isinstance(config, dict) else None
    return fallback[:255] if isinstance(fallback, str) else ""


def _annotations(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        return ()
    pairs = [(key, text) for key, text in value.items() if isinstance(text, str)]
    return tuple((key[:255], text[:4096]) for key, text in pairs[:MOST_ANNOTATIONS])
