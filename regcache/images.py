"""What the cache has of images: values that the index gives and the API shows.

An image is what a tag names, or what was pulled by its digest. It has a manifest for each platform,
listed by an index, or it is one manifest itself. A platform is complete where its manifest, its
configuration and every layer are here; there is no "complete" for a tag.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, field
from typing import NamedTuple

from regcache.digests import Digest
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.light_dataclass import dataclass

CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
"""Media types of the configuration of an image (OCI image specification, "Media Types")."""

ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")
"""The annotation by which BuildKit marks a manifest of an index that is no image."""

UNKNOWN_PLATFORM = "unknown/unknown"
"""The platform that such a manifest is given."""


@dataclass(frozen=True, slots=True)
class AskedContent:
    """Something that a client asked for.

    :ivar before: tags or digests of manifests that it asked for before, and what these were; the
        latest first.
    """

    content: RepositoryContent
    before: Sequence[tuple[str, Digest]] = ()


@dataclass(frozen=True, slots=True)
class ImagePart:
    """The image that some content belongs to.

    :ivar reference: a tag, else the digest.
    :ivar platform: "" where it is not known, or the content is all of them.
    :ivar layer: which one it is, from 1, and how many there are; None where it is none.
    """

    reference: str
    platform: str
    layer: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Undescribed:
    """A stored manifest whose platforms are not known yet, or not all that it lists.

    :ivar size: in bytes.
    :ivar config: of an image, which is here; None for an index.
    :ivar partly: only a part of what it lists is known.
    """

    digest: Digest
    media_type: str
    size: int
    config: Digest | None
    _: KW_ONLY
    partly: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryPlatform:
    """A platform of the tags of a repository. Images without a tag count as tags.

    :ivar platform: "" where it is not known.
    :ivar here: bytes that are here.
    :ivar size: bytes of all contents whose manifests are here.
    :ivar complete: tags for which it is complete.
    :ivar partial: tags for which a part is here.
    """

    platform: str
    here: int
    size: int
    complete: int
    partial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositorySummary:
    """A repository in a list.

    :ivar upstream: its configured name.
    :ivar absent: how many platforms its tags have of which nothing is here.
    :ivar stored: bytes that are here, and what of them nothing else needs (``own``).
    :ivar pulls: within 30 days, in 24 parts, the oldest first.
    :ivar last_used: Unix seconds.
    :ivar pinned: how many of its tags are pinned.
    :ivar closed_since: since when its upstream refuses it to good credentials.
    """

    upstream: str
    name: str
    tags: int
    platforms: Sequence[RepositoryPlatform]
    absent: int
    stored: int
    own: int
    pulls: Sequence[int]
    last_used: float | None
    pinned: int
    closed_since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryQuery:
    """Which repositories are asked for.

    :ivar upstreams: only theirs.
    :ivar text: a part of ``upstream/name``, with ``:`` and the beginning of a tag or without.
    :ivar sort: name, size, last_used, pulls or tags.
    :ivar after: the position of the last row before; None for the beginning.
    :ivar visible: whether a repository may be shown; None if all may. Called in another thread.
    """

    upstreams: Sequence[UpstreamIdentity]
    text: str = ""
    partial: bool = False
    pinned: bool = False
    sort: str = "name"
    descending: bool = False
    limit: int = 50
    after: Sequence[object] | None = None
    visible: Callable[[str, str], bool] | None = None


class SummariesMade(NamedTuple):
    """How far the lists of repositories are: of so many out of all there is a summary."""

    made: int
    repositories: int


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """Some repositories.

    :ivar after: the position of the last; None where no more follow.
    :ivar total: of all pages; None where that is not known.
    :ivar missing: how far the list is, where some are not in it yet; None where none is missing.
    """

    items: Sequence[RepositorySummary]
    after: Sequence[object] | None
    total: int | None
    missing: SummariesMade | None = None


@dataclass(frozen=True, slots=True)
class NamedTag:
    """A tag, and when its upstream last confirmed it (Unix seconds)."""

    tag: str
    validated_at: float


@dataclass(frozen=True, slots=True)
class ImagePlatform:
    """What is here of one platform of an image.

    :ivar platform: os/architecture[/variant]; "" where it is not known.
    :ivar layers: how many there are; None where the manifest is not here.
    :ivar config_here: None where the manifest is not here, or names no configuration.
    :ivar here: bytes.
    :ivar size: bytes of manifest, configuration and layers; None where the manifest is not here.
    :ivar last_used: Unix seconds.
    """

    platform: str
    digest: Digest
    _: KW_ONLY
    manifest_here: bool
    config_here: bool | None = None
    layers_here: int = 0
    layers: int | None = None
    here: int = 0
    size: int | None = None
    complete: bool = False
    last_used: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """An image of a repository in a list: a digest with its tags.

    :ivar media_type: "" where the manifest is not here.
    :ivar frees: bytes that its removal would free.
    """

    digest: Digest
    media_type: str
    tags: Sequence[NamedTag]
    platforms: Sequence[ImagePlatform]
    frees: int
    last_used: float | None
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """Which images of a repository are asked for.

    :ivar text: a part of a tag, or of the digest.
    :ivar sort: name, checked or last_used.
    """

    text: str = ""
    sort: str = "name"
    limit: int = 50
    after: Sequence[object] | None = None


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Some images of a repository; as :class:`RepositoryPage`."""

    items: Sequence[ImageRow]
    after: Sequence[object] | None
    total: int


@dataclass(frozen=True, slots=True)
class Attached:
    """Attestations, signatures and the like.

    :ivar count: how many are known.
    :ivar here: how many manifests of them are stored.
    """

    kind: str
    count: int
    here: int


@dataclass(frozen=True, slots=True)
class ImagePin:
    """Why an image is never evicted.

    :ivar since: Unix seconds; None for a pattern of the configuration.
    """

    by: str
    since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image.

    :ivar tags: all that name it in this repository.
    :ivar stored: bytes that are here, and what of them goes with it alone (``own``).
    :ivar shared_with: how many other manifests list something of it.
    :ivar since: when its manifest was stored (Unix seconds); None where it is not here.
    :ivar fetched_by: the account or address for which it was; "" where that is not known.
    :ivar pulls: within 30 days.
    """

    repository: Repository
    digest: Digest
    media_type: str
    tags: Sequence[NamedTag]
    platforms: Sequence[ImagePlatform]
    attached: Sequence[Attached]
    stored: int
    own: int
    shared_with: int
    since: float | None
    fetched_by: str
    pulls: int
    last_used: float | None
    pin: ImagePin | None


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """A layer, or the configuration, of an image.

    :ivar size: bytes: what is stored, else what the manifest says.
    :ivar used_by: how many stored manifests list it.
    """

    digest: Digest
    media_type: str
    size: int
    here: int
    used_by: int


@dataclass(frozen=True, slots=True)
class TagPast:
    """What a tag named.

    :ivar seen_to: when it first named something else (Unix seconds); None where it still does not.
    """

    digest: Digest
    seen_from: float
    seen_to: float | None
    here: bool


@dataclass(frozen=True, slots=True)
class PlatformContents:
    """The manifest of a platform, and what it lists, in no order.

    :ivar size: of the manifest; None where it is not here.
    """

    digest: Digest
    media_type: str
    size: int | None
    listed: Sequence[ListedLayer] = field(default_factory=tuple)
