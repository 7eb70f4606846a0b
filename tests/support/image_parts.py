"""Which images things belong to, as a test says it."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from regcache.admin.requests.image_finder import ImageFinder
from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.images import AskedContent, ImagePart

_UPSTREAMS = {name: UpstreamIdentity(name) for name in ("docker.io", "ghcr.io", "a.test")}


class KnownParts:
    """An index that knows some.

    :ivar parts: what it knows.
    :ivar asked: what it was asked for.
    :ivar fails: it cannot answer.
    :ivar wait: what it waits for before it answers, if anything.
    """

    def __init__(self) -> None:
        self.parts: dict[Digest, ImagePart] = {}
        self.asked: list[AskedContent] = []
        self.fails = False
        self.wait: Deferred[None] | None = None
        self.finder = ImageFinder(self.find, lambda: _UPSTREAMS)

    async def find(self, asked: Sequence[AskedContent | None]) -> list[ImagePart | None]:
        """What is known."""
        self.asked += [each for each in asked if each is not None]
        if self.wait is not None:
            await self.wait
        if self.fails:
            raise OSError("too many wait")
        return [None if each is None else self.parts.get(each.content.digest) for each in asked]
