"""Names of images, as people write them: ``nginx`` is ``docker.io/library/nginx``."""

import argparse
from typing import Any

from regcache.digests import Digest, InvalidDigestError
from regcache.light_dataclass import dataclass
from regcache.references import is_repository_name, is_tag, looks_like_registry

#: What a name without a registry means, and where a name of one part is there.
HUB, HUB_NAMESPACE = "docker.io", "library"
#: Other names of the same.
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
LATEST = "latest"
_WILD = "*?"
_LETTERS = str.maketrans("*?", "xx")


@dataclass(frozen=True, slots=True)
class ImageName:
    """A repository, or an image of it.

    :ivar name: ``<upstream>/<repository>``.
    :ivar tag: "" where none was written.
    :ivar digest: "" where none was written.
    """

    name: str
    tag: str = ""
    digest: str = ""

    @property
    def reference(self) -> str:
        """What it is asked for by: its digest, else its tag, else ``latest``."""
        return self.digest or self.tag or LATEST

    @property
    def is_repository(self) -> bool:
        """Whether it names a repository as a whole."""
        return not (self.tag or self.digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")


def image_name(text: str) -> ImageName:
    """Read a name.

    :raises ArgumentTypeError: if it is none; argparse shows that.
    """
    rest, _, digest = text.partition("@")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:  # that is the port of a registry
        name, tag = rest, ""
    found = ImageName(_full_name(name), tag, digest)
    if colon and "/" not in rest.rpartition(":")[2] and not is_tag(tag):
        raise argparse.ArgumentTypeError(f"{text}: {tag!r} is no tag")
    if "@" in text:
        try:
            Digest.parse(digest)
        except InvalidDigestError as error:
            raise argparse.ArgumentTypeError(f"{text}: {error}") from None
    return found


def _full_name(text: str) -> str:
    registry, slash, repository = text.partition("/")
    if not slash or not looks_like_registry(registry):
        registry, repository = HUB, text
    registry = registry.lower()
    if registry in _HUB_NAMES:
        registry = HUB
        if "/" not in repository:
            repository = f"{HUB_NAMESPACE}/{repository}"
    if not is_repository_name(repository):
        raise argparse.ArgumentTypeError(
            f"{text}: write a name such as nginx:1.29 or quay.io/prometheus/node-exporter"
        )
    return f"{registry}/{repository}"


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """What a removal may name: an image, a repository, an upstream, a pattern.

    :ivar image: None for an upstream, and for a pattern.
    :ivar upstream: where all of an upstream is meant.
    :ivar name_pattern: of ``<upstream>/<repository>``, with ``*`` and ``?``.
    :ivar tag_pattern: of tags; "" for repositories as a whole.
    """

    image: ImageName | None = None
    upstream: str = ""
    name_pattern: str = ""
    tag_pattern: str = ""

    def __str__(self) -> str:
        if self.image is not None:
            return str(self.image)
        tag = f":{self.tag_pattern}" if self.tag_pattern else ""
        return self.upstream or f"{self.name_pattern}{tag}"


def named_target(text: str) -> NamedTarget:
    """Read a target.

    :raises ArgumentTypeError: if it is none.
    """
    if not any(each in text for each in _WILD):
        if "/" not in text and "@" not in text and looks_like_upstream(text):
            return NamedTarget(upstream=HUB if text.lower() in _HUB_NAMES else text.lower())
        image = image_name(text)
        if image.tag and image.digest:
            # A digest means the manifest with all its tags.
            raise argparse.ArgumentTypeError(f"{text}: write the tag or the digest, not both")
        return NamedTarget(image)
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        name, tag = text, ""
    # A letter for each wild card, so that the rest has to be right.
    image_name(text.translate(_LETTERS))
    return NamedTarget(name_pattern=_with_registry(name), tag_pattern=tag)


def looks_like_upstream(text: str) -> bool:
    """Whether a name of one part is that of a registry: ``nginx:1.29`` is an image."""
    host, _, port = text.partition(":")
    return looks_like_registry(host) and (not port or port.isdigit())


def _with_registry(pattern: str) -> str:
    first, slash, rest = pattern.partition("/")
    if not slash or not (looks_like_registry(first) or any(each in first for each in _WILD)):
        first, rest = HUB, pattern
    if first.lower() in _HUB_NAMES:
        first = HUB
        if "/" not in rest and rest != "*":
            rest = f"{HUB_NAMESPACE}/{rest}"
    return f"{first.lower()}/{rest}"


def add_image_argument(parser: argparse.ArgumentParser, **more: Any) -> None:
    """Add IMAGE to the arguments of a command."""
    parser.add_argument(
        "image",
        metavar="IMAGE",
        type=image_name,
        help="such as nginx:1.29, quay.io/org/app@sha256:… (nginx is docker.io/library/nginx)",
        **more,
    )
