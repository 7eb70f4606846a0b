"""Finds the images that requests belong to.

The index knows which images list a layer. If there are several, the client's own earlier requests
tell which one it pulled. So nothing is noted while a request is answered: the image is looked up
when a user of the API asks for it.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence

from regcache.digests import Digest, InvalidDigestError
from regcache.identity import Repository, RepositoryContent, UpstreamIdentity
from regcache.images import AskedContent, ImagePart
from regcache.web.records import RequestRecord

#: So many earlier manifests of a client decide which image a layer belongs to.
MOST_BEFORE = 8

FindParts = Callable[[Sequence[AskedContent | None]], Awaitable[Sequence[ImagePart | None]]]
"""Asks the index for images."""


class ImageFinder:
    """Finds the images of requests and downloads.

    :param upstreams: gives the upstreams that are served, by name.
    """

    def __init__(
        self, find: FindParts, upstreams: Callable[[], Mapping[str, UpstreamIdentity]]
    ) -> None:
        self._find = find
        self.upstreams = upstreams

    async def find(self, asked: Sequence[AskedContent | None]) -> Sequence[ImagePart | None]:
        """Return the images; None for each that is not known, and if the index cannot answer."""
        if not any(asked):
            return [None] * len(asked)
        try:
            return await self._find(asked)
        except OSError:
            return [None] * len(asked)


def asked_contents(
    rows: Sequence[RequestRecord],
    known: Iterable[RequestRecord],
    upstreams: Mapping[str, UpstreamIdentity],
) -> list[AskedContent | None]:
    """Return what was sent for requests, and what their clients had asked for before.

    :param known: the requests among which the earlier ones are.
    """
    digests = [_digest_of(row) if row.upstream in upstreams else None for row in rows]
    clients = {_client(row) for row, digest in zip(rows, digests, strict=True) if digest}
    manifests: dict[Hashable, list[RequestRecord]] = {}
    for row in known if clients else ():
        if row.kind == "manifest" and row.digest is not None and _client(row) in clients:
            manifests.setdefault(_client(row), []).append(row)
    return [
        None
        if digest is None
        else AskedContent(
            RepositoryContent(Repository(upstreams[row.upstream], row.repository), digest),
            _before(row, manifests.get(_client(row), ())),
        )
        for row, digest in zip(rows, digests, strict=True)
    ]


def _digest_of(row: RequestRecord) -> Digest | None:
    """Return the digest of the manifest or blob that is the answer; None if it is neither."""
    if row.kind not in ("manifest", "blob") or not row.repository or row.status in _REFUSED:
        return None
    if row.digest is not None or row.kind == "manifest":
        return row.digest
    try:
        return Digest.parse(row.reference)
    except InvalidDigestError:
        return None


_REFUSED = frozenset({401, 403, 404, 405})


def _client(row: RequestRecord) -> Hashable:
    return row.account, row.peer, row.upstream, row.repository


def _before(
    row: RequestRecord, manifests: Sequence[RequestRecord]
) -> tuple[tuple[str, Digest], ...]:
    """Return references and digests of earlier manifests, the latest first."""
    earlier = [each for each in manifests if each.serial <= row.serial]
    latest = sorted(earlier, key=lambda each: each.serial, reverse=True)[:MOST_BEFORE]
    return tuple((each.reference, each.digest) for each in latest if each.digest is not None)
