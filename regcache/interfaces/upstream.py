"""One upstream registry, and the events of it that are counted."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from regcache.digests import Digest
from regcache.errors import UpstreamFailure
from regcache.facts import ContentHead, ManifestAnswer
from regcache.identity import UpstreamIdentity


class IBodyConsumer(Interface):
    """Takes the bytes of an upstream body, in the reactor thread."""

    def body_chunk(data: bytes) -> None:
        """Some bytes arrived. Call ``pause`` on the body to get no more for now."""

    def body_ended() -> None:
        """The upstream ended the body cleanly and with the length that it had announced."""

    def body_failed(failure: UpstreamFailure) -> None:
        """The body broke off, stalled or was malformed. Nothing follows."""


class IBodyLoan(Interface):
    """A body whose connection is lent to a thread, which receives a part of it by itself."""

    def receive(put: Callable[[memoryview], None], most: int, seconds: float) -> None:
        """In a thread: receive at most ``most`` bytes, for about so long, and put each piece.

        Ends early if no more comes for now, if the connection has ended, or if the body is aborted:
        its consumer learns of an end when it is resumed. Raises as ``put`` does.
        """

    def give_back() -> None:
        """The thread is done, or was never begun. The body is paused, as before."""


class IBlobBody(Interface):
    """The answer to GET of a blob, whose headers have arrived, and whose body waits."""

    start: int = Attribute("Offset of the first byte that will come: 0 if Range was ignored.")
    end: int | None = Attribute("Offset behind the last byte that will come, or None: unknown.")
    size: int | None = Attribute("Size of the whole blob as the upstream states it, or None.")
    media_type: str = Attribute("What the answer says it is, without parameters, or ''.")
    credentials: str = Attribute("Fingerprint of the credentials used; '' for anonymous.")
    url_index: int = Attribute("Which of the upstream's URLs answered.")

    def deliver(consumer: IBodyConsumer) -> None:
        """Begin to deliver. Call it once, and soon: until then the body keeps a connection."""

    def make_relay() -> bool:
        """Change to a place for relays: from now on the body is passed on to one client.

        Returns False if there is no place for another relay. Then the body has to be aborted.
        """

    def pause() -> None:
        """Stop reading from the upstream. The stall time-out does not run meanwhile. Idempotent."""

    def resume() -> None:
        """Read on. Idempotent."""

    def lend() -> "IBodyLoan | None":
        """Lend the connection to a thread; None where that is not possible now.

        Only while it is paused, and only for bytes before its last. It must not be resumed before
        it is given back. If it is aborted, the thread returns soon, and the loan is to be given
        back all the same.
        """

    def abort() -> None:
        """Close the connection. The consumer is not told anything any more. Idempotent."""


class IRegistry(Interface):
    """One upstream registry."""

    identity: UpstreamIdentity = Attribute("Which registry it is, and who asks it.")
    name: str = Attribute("The configured name, e.g. docker.io: that of the identity.")
    credentials: str = Attribute("Fingerprint of the configured credentials; '' for none.")
    all_credentials: frozenset[str] = Attribute("The same of each URL that has some.")
    url_count: int = Attribute("How many URLs the upstream has.")

    def head_manifest(
        repository: str, reference: str, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a manifest, which public registries do not count.

        ``anonymous``: without the configured credentials.
        """

    def get_manifest(repository: str, reference: str) -> "Deferred[ManifestAnswer]":
        """GET of a manifest, with all media types accepted, at most 4 MiB."""

    def head_blob(
        repository: str, digest: Digest, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a blob."""

    def get_blob(
        repository: str,
        digest: Digest,
        start: int = 0,
        end: int | None = None,
        *,
        skip: frozenset[int] = frozenset(),
        relayed: bool = False,
    ) -> "Deferred[IBlobBody]":
        """GET of a blob, with a Range unless it is asked for from 0 to None.

        Waits for one of the upstream's ``max_downloads`` places, however long that takes.
        ``skip``: the indexes of URLs that must not be asked. ``relayed``: the body is passed on to
        one client, and needs a place for relays instead. A 416 fails with UpstreamBadAnswer.
        """

    def list_tags(repository: str) -> "Deferred[list[str]]":
        """All tags, following relative Links, bounded in pages, bytes and number."""

    def get_referrers(repository: str, digest: Digest) -> "Deferred[ManifestAnswer]":
        """The referrers index of a digest. Fails with UpstreamNotFound without that API."""

    def note_overdue(repository: str, reference: str) -> None:
        """Note that a question about a manifest takes longer than the deadline.

        It counts as one failure of the URL that is being asked. The question itself goes on.
        """


class IUpstreamMeter(Interface):
    """Counts events between the daemon and its upstreams."""

    def upstream_requested(upstream: str) -> None:
        """One request was sent."""

    def upstream_sent(upstream: str, count: int) -> None:
        """Some body bytes arrived."""

    def upstream_state(upstream: str, up: bool) -> None:
        """The upstream answered, or its breaker opened."""

    def credentials_state(upstream: str, accepted: bool) -> None:
        """The realm accepted or refused our own credentials."""

    def ratelimit_remaining(upstream: str, remaining: int) -> None:
        """The upstream said how many requests are left."""
