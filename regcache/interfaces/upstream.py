"""One upstream registry, and who counts what happens with it."""

# ruff: noqa: N805 - methods of a zope interface have no self

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from regcache.digests import Digest
from regcache.errors import UpstreamFailure
from regcache.facts import ContentHead, ManifestAnswer
from regcache.identity import UpstreamIdentity


class IBodyConsumer(Interface):
    """Who gets the bytes of an upstream body, in the reactor thread."""

    def body_chunk(data: bytes) -> None:
        """Some bytes arrived. Call ``pause`` on the body to have no more for now."""

    def body_ended() -> None:
        """The upstream ended the body cleanly and with the length that it had announced."""

    def body_failed(failure: UpstreamFailure) -> None:
        """The body broke off, stalled or was malformed. Nothing follows."""


class IBlobBody(Interface):
    """The answer to a blob GET whose headers have arrived and whose body waits."""

    start: int = Attribute("Offset of the first byte that will come: 0 if Range was ignored.")
    end: int | None = Attribute("Offset behind the last byte that will come, or None: unknown.")
    size: int | None = Attribute("Size of the whole blob as the upstream states it, or None.")
    media_type: str = Attribute("What the answer says it is, without parameters, or ''.")
    credentials: str = Attribute("Fingerprint of the credentials used; '' for anonymous.")
    url_index: int = Attribute("Which of the upstream's URLs answered.")

    def deliver(consumer: IBodyConsumer) -> None:
        """Begin to deliver. Called once, soon: an undelivered body holds a connection."""

    def make_relay() -> bool:
        """From now on the body goes at the pace of one client: downloads need its place.

        False: there is no place for another relay. The body is still to be aborted then.
        """

    def pause() -> None:
        """Stop reading from the upstream; the stall time-out rests meanwhile. Idempotent."""

    def resume() -> None:
        """Read on. Idempotent."""

    def abort() -> None:
        """Close the connection; the consumer hears nothing more. Idempotent."""


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
        ``skip``: indexes of URLs not to be asked. ``relayed``: the body goes at the pace of one
        client, and needs a place among the relays instead. A 416 fails with UpstreamBadAnswer.
        """

    def list_tags(repository: str) -> "Deferred[list[str]]":
        """All tags, following relative Links, bounded in pages, bytes and number."""

    def get_referrers(repository: str, digest: Digest) -> "Deferred[ManifestAnswer]":
        """The referrers index of a digest; UpstreamNotFound where there is no such API."""

    def note_overdue(repository: str, reference: str) -> None:
        """A question about a manifest that is still open has outlasted the deadline.

        It counts as one failure of the URL being asked; the question itself goes on.
        """


class IUpstreamMeter(Interface):
    """Who counts what happens between an upstream and us."""

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
