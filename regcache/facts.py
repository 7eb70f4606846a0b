"""Small immutable records that the layers pass to each other."""

from dataclasses import KW_ONLY
from enum import Enum

from regcache.digests import Digest
from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Percentage:
    """A share of something whose size is known later."""

    value: float

    def of(self, total: int) -> int:
        """The share of ``total``, rounded down."""
        return int(total * self.value / 100)


class AtMostATenth(int):
    """A size in bytes that is a tenth of the file system where that is less."""


@dataclass(frozen=True, slots=True)
class CronLine:
    """A cron line of five fields, in local time."""

    expression: str


BLOCK = 4096
"""What a file takes is a multiple of this (bytes), as on nearly all file systems."""


def in_blocks(size: int) -> int:
    """The bytes of disk that a complete file of ``size`` bytes takes."""
    return -(-size // BLOCK) * BLOCK


def in_units(size: int) -> str:
    """A size for people: ``1.1 GiB``."""
    amount, units = float(size), ["B", "KiB", "MiB", "GiB", "TiB"]
    while abs(amount) >= 1024 and len(units) > 1:
        amount /= 1024
        del units[0]
    return f"{size} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of another piece of content (OCI image specification, "Descriptor").

    :ivar size: bytes as declared by the manifest's author: a claim, not a fact.
    :ivar platform: ``os/architecture[/variant]`` or "".
    """

    digest: Digest
    size: int
    media_type: str
    _: KW_ONLY
    platform: str = ""
    artifact_type: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a manifest refers to, and what a list of referrers shows of the manifest itself.

    OCI image specification, "Image Manifest" and "Image Index", properties ``subject``,
    ``artifactType`` and ``annotations``; OCI distribution specification, "Listing Referrers".
    """

    digest: Digest
    artifact_type: str
    annotations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A verified manifest or index, body and all."""

    digest: Digest
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class TagFact:
    """What a tag named when the upstream was last asked (Unix seconds)."""

    digest: Digest
    validated_at: float


@dataclass(frozen=True, slots=True)
class Link:
    """The right of a repository to show a digest.

    :ivar proved_at: Unix seconds of the last proof.
    :ivar credentials: fingerprint of the credentials that proved it; "" for anonymous.
    """

    proved_at: float
    credentials: str


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """The facts in the index about a digest, for one repository.

    :ivar size: bytes of the stored content; None if it is not stored whole.
    :ivar media_type: of a stored manifest; "" for any other content.
    :ivar public: whether some repository gave these bytes without credentials, and they were not
        removed from this one since.
    :ivar withdrawn: whether they were; only a proof makes up for that.
    :ivar link: this repository's right to it, if any.
    :ivar upstream_linked: whether some repository of the same upstream has a link to it.
    :ivar mentioned_size: the size in a manifest that this repository is linked to; where the
        content was verified at some time, the size that it had then instead.
    """

    _: KW_ONLY
    size: int | None = None
    media_type: str = ""
    public: bool = False
    withdrawn: bool = False
    link: Link | None = None
    upstream_linked: bool = False
    mentioned_size: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a repository could be read without credentials, and when that was asked."""

    public: bool
    asked_at: float


@dataclass(frozen=True, slots=True)
class ManifestAnswer:
    """A manifest body as an upstream sent it: bounded in size, not yet verified.

    :ivar claimed: the Docker-Content-Digest header, if it was there and valid.
    """

    content: bytes
    media_type: str
    claimed: Digest | None
    credentials: str = ""


@dataclass(frozen=True, slots=True)
class ContentHead:
    """An upstream's answer to HEAD.

    :ivar digest: the Docker-Content-Digest header, if it was there and valid.
    :ivar size: the Content-Length header; None if absent.
    :ivar credentials: fingerprint of the credentials used; "" for anonymous.
    :ivar body: of a manifest, where the upstream takes no HEAD and was asked with GET.
    """

    digest: Digest | None
    size: int | None
    media_type: str
    credentials: str = ""
    _: KW_ONLY
    body: ManifestAnswer | None = None


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """How much the index knows.

    :ivar repositories: of which something is stored or pinned: as many as lists show.
    :ivar tags: that are known, in all of them, also of images that were evicted.
    :ivar contents: that are stored: blobs and manifests.
    """

    repositories: int
    tags: int
    contents: int


class ManifestUse(Enum):
    """How a manifest was asked for."""

    BY_TAG = "by a tag"
    GOT = "by its digest"
    HEADED = "by its digest, without the body"
