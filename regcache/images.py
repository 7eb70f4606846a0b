"""Values that describe cached images: the index gives them and the API shows them.

A tag or a digest names an image. It is a manifest, or an index that lists one for each platform. A
platform is complete if its manifest, its configuration and every layer are here. A tag is not
called complete.
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
"""The platform that BuildKit gives such a manifest."""


@dataclass(frozen=True, slots=True)
class AskedContent:
    """Content that a client asked for.

    :ivar before: tags or digests of manifests that it asked for before, each with the digest that
        it got; the latest first.
    """

    content: RepositoryContent
    before: Sequence[tuple[str, Digest]] = ()


@dataclass(frozen=True, slots=True)
class ImagePart:
    """The image to which content belongs.

    :ivar reference: a tag, else the digest.
    :ivar platform: "" if it is not known, or the content belongs to all.
    :ivar layer: its number, from 1, and how many layers there are; None if it is no layer.
    """

    reference: str
    platform: str
    layer: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Undescribed:
    """A stored manifest whose platform, or part of whose list, is not in the index yet.

    :ivar size: in bytes.
    :ivar config: the stored configuration of an image; None for an index.
    :ivar partly: whether only a part of its list is in the index.
    """

    digest: Digest
    media_type: str
    size: int
    config: Digest | None
    _: KW_ONLY
    partly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
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
    :ivar stored: bytes that are here.
    :ivar own: those of them that nothing else needs.
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
    """A query for repositories.

    :ivar upstreams: only repositories of these.
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
    """The number of repositories with a summary, and of all repositories."""

    made: int
    repositories: int


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """A page of repositories.

    :ivar after: the position of the last one; None if no more follow.
    :ivar total: of all pages; None if that is not known.
    :ivar missing: the progress of the summaries if some are missing; None if none is.
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
    """How much of one platform of an image is here.

    :ivar platform: os/architecture[/variant]; "" if it is not known.
    :ivar layers: how many there are; None if the manifest is not here.
    :ivar config_here: None if the manifest is not here, or names no configuration.
    :ivar here: bytes.
    :ivar size: bytes of manifest, configuration and layers; None if the manifest is not here.
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

    :ivar media_type: "" if the manifest is not here.
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
    """A query for images of a repository.

    :ivar text: a part of a tag, or of the digest.
    :ivar sort: name, checked or last_used.
    """

    text: str = ""
    sort: str = "name"
    limit: int = 50
    after: Sequence[object] | None = None


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A page of images of a repository; as :class:`RepositoryPage`."""

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
    """The pin that protects an image from eviction.

    :ivar since: Unix seconds; None for a pattern of the configuration.
    """

    by: str
    since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """An image.

    :ivar tags: all that name it in this repository.
    :ivar stored: bytes that are here.
    :ivar own: those of them that its removal would free.
    :ivar shared_with: how many other manifests list contents of it.
    :ivar since: when its manifest was stored (Unix seconds); None if it is not here.
    :ivar fetched_by: the account or address for which it was fetched; "" if that is not known.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedLayer:
    """A layer, or the configuration, of an image.

    :ivar size: the stored bytes; if it is not stored, the size in the manifest.
    :ivar used_by: how many stored manifests list it.
    """

    digest: Digest
    media_type: str
    size: int
    here: int
    used_by: int


@dataclass(frozen=True, slots=True)
class TagPast:
    """A digest that a tag has named.

    :ivar seen_to: when the tag first named another digest (Unix seconds); None if that is not so
        yet.
    """

    digest: Digest
    seen_from: float
    seen_to: float | None
    here: bool


@dataclass(frozen=True, slots=True)
class PlatformContents:
    """The manifest of a platform, and what it lists, in no order.

    :ivar size: of the manifest; None if it is not here.
    """

    digest: Digest
    media_type: str
    size: int | None
    listed: Sequence[ListedLayer] = field(default_factory=tuple)
