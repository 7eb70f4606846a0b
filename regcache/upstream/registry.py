"""One upstream registry: its URLs in order, as :class:`~regcache.interfaces.IRegistry`."""

import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import TimeoutError as SlowCloseError
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from regcache.digests import Digest
from regcache.errors import (
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamResting,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from regcache.facts import ContentHead, ManifestAnswer
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IBlobBody, IRegistry, IUpstreamMeter
from regcache.probing import ProbedUrl, ProbeStep, TellProbe
from regcache.upstream import blob_requests, list_requests, manifest_requests
from regcache.upstream.answer_times import answer_facts
from regcache.upstream.blob_body import BlobBody, Extent
from regcache.upstream.blob_requests import BlobRequest
from regcache.upstream.deadlines import within
from regcache.upstream.exchange import Answer
from regcache.upstream.remote import Remote
from regcache.upstream_health import UpstreamHealth

T = TypeVar("T")

_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*\Z")
_REFERENCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+:-]{0,191}\Z")
_NO_CREDENTIALS: frozenset[str] = frozenset()
_CLOSING_SECONDS = 2.0
_LISTING_SECONDS = 60.0


@implementer(IRegistry)
class Registry:
    """One upstream.

    If a URL cannot be reached, is too slow, fails, or limits the rate, the next one is asked. Any
    other answer is the upstream's answer.

    :param remotes: its URLs, in the order in which they are asked.
    """

    def __init__(
        self,
        identity: UpstreamIdentity,
        remotes: Sequence[Remote],
        *,
        clock: IReactorTime,
        meter: IUpstreamMeter,
        stall_timeout: float,
    ) -> None:
        self.identity = identity
        self.name = identity.name
        self._remotes = remotes
        logins = [remote.chain.login for remote in remotes]
        self._logins = [each for each in logins if not each.always_anonymous]
        self.url_count = len(remotes)
        self._clock = clock
        self._meter = meter
        self._stall_timeout = stall_timeout

    @property
    def health(self) -> UpstreamHealth:
        """Its state, as far as it is known without asking."""
        logins = [remote.chain.login for remote in self._remotes]
        login = next((each for each in logins if not each.configured.is_anonymous), logins[0])
        return UpstreamHealth(
            self.name,
            login.configured.username,
            login.ok,
            [remote.health for remote in self._remotes],
            answers=answer_facts(
                [remote.chain.times for remote in self._remotes], self._clock.seconds()
            ),
        )

    @property
    def credentials(self) -> str:
        """The fingerprint of those of the first URL that has any, even if refused, else ""."""
        for login in self._logins:
            fingerprint = login.configured.fingerprint
            if fingerprint:
                return fingerprint
        return ""

    @property
    def all_credentials(self) -> frozenset[str]:
        """The fingerprints of the credentials of all URLs."""
        if not self._logins:
            return _NO_CREDENTIALS
        return frozenset(each.configured.fingerprint for each in self._logins) - {""}

    def head_manifest(
        self, repository: str, reference: str, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a manifest."""
        _check(repository, reference)

        return self._first(
            lambda remote: manifest_requests.head_manifest(remote, repository, reference, anonymous)
        )

    def get_manifest(self, repository: str, reference: str) -> "Deferred[ManifestAnswer]":
        """GET of a manifest."""
        _check(repository, reference)

        return self._first(
            lambda remote: manifest_requests.get_manifest(remote, repository, reference)
        )

    def head_blob(
        self, repository: str, digest: Digest, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a blob."""
        _check(repository, str(digest))
        wanted = BlobRequest(repository, digest, anonymous=anonymous)
        return self._first(lambda remote: blob_requests.head_blob(remote, wanted, self._body))

    def get_blob(
        self,
        repository: str,
        digest: Digest,
        start: int = 0,
        end: int | None = None,
        *,
        skip: frozenset[int] = frozenset(),
        relayed: bool = False,
    ) -> "Deferred[IBlobBody]":
        """GET of a blob or a part of it."""
        _check(repository, str(digest))
        wanted = BlobRequest(repository, digest, start=start, end=end, relayed=relayed)
        return self._first(lambda remote: blob_requests.open_blob(remote, wanted, self._body), skip)

    def list_tags(self, repository: str) -> "Deferred[list[str]]":
        """All tags."""
        _check(repository, "latest")
        return self._first(lambda remote: self._whole(list_requests.list_tags(remote, repository)))

    def get_referrers(self, repository: str, digest: Digest) -> "Deferred[ManifestAnswer]":
        """The referrers of a digest."""
        _check(repository, str(digest))
        return self._first(
            lambda remote: self._whole(list_requests.get_referrers(remote, repository, digest))
        )

    def note_overdue(self, repository: str, reference: str) -> None:
        """Count the URL that is being asked about a manifest as failing."""
        _check(repository, reference)
        for remote in self._remotes:
            remote.note_overdue(repository, reference)

    async def test(self, tell: TellProbe) -> None:
        """Test each URL, step by step. Failures are reported, and not raised.

        A URL that passes all steps counts as up again: without requests it would otherwise be
        reported as down for ever. A failed test does not count as a failure.
        """
        found = [ProbedUrl(remote.chain.probe.url, ()) for remote in self._remotes]
        for number, remote in enumerate(self._remotes):
            probe = remote.chain.probe

            def note(steps: Sequence[ProbeStep], at: int = number, url: str = probe.url) -> None:
                found[at] = ProbedUrl(url, steps)
                tell(tuple(found))

            skew = await probe.run(note)
            found[number] = replace(found[number], skew=skew)
            if not found[number].problem:
                remote.note_answer()
            tell(tuple(found))

    def close(self) -> "Deferred[None]":
        """Close idle connections. Fires when they are closed, or after two seconds.

        Requests and bodies under way have to be cancelled or aborted by their callers.
        """
        closing = gatherResults([r.chain.connections.close() for r in self._remotes])
        done = within(
            self._clock, _CLOSING_SECONDS, closing, late=SlowCloseError, discard=lambda _: None
        )
        return done.addErrback(lambda failure: failure.trap(SlowCloseError)).addCallback(
            lambda _: None
        )

    async def _whole(self, listing: Coroutine[Deferred[Any], Any, T]) -> T:
        """Limit the time for all pages of a list together."""

        def late() -> UpstreamTimedOut:
            return UpstreamTimedOut(self.name, "its list did not end within its time")

        waiting = Deferred.fromCoroutine(listing)
        return await within(
            self._clock, _LISTING_SECONDS, waiting, late=late, discard=lambda _: None
        )

    def _body(self, answer: Answer, remote: Remote, extent: Extent) -> BlobBody:
        return BlobBody(
            answer,
            remote,
            extent,
            clock=self._clock,
            meter=self._meter,
            stall_timeout=self._stall_timeout,
        )

    def _first(
        self,
        call: Callable[[Remote], Coroutine[Deferred[Any], Any, T]],
        skip: frozenset[int] = frozenset(),
    ) -> "Deferred[T]":
        return Deferred.fromCoroutine(self._in_order(call, skip))

    async def _in_order(self, call: Callable[[Remote], Awaitable[T]], skip: frozenset[int]) -> T:
        failures: list[UpstreamFailure] = []
        for remote in self._remotes:
            if remote.index in skip:
                continue
            try:
                answer = await call(remote)
            except UpstreamFailure as failure:
                remote.record.failed(failure)
                failure.url_index = remote.index
                if not _passes_on(failure):
                    raise
                failures.append(failure)
            else:
                remote.record.answered()
                return answer
        raise _most_telling(self.name, failures)


def _passes_on(failure: UpstreamFailure) -> bool:
    return failure.ill or isinstance(failure, UpstreamRateLimited | UpstreamResting)


def _most_telling(name: str, failures: list[UpstreamFailure]) -> UpstreamFailure:
    """The first real failure; if there is none, that of a URL which was not asked."""
    if not failures:
        return UpstreamUnreachable(name, "none of its URLs is left to ask")
    resting = [f for f in failures if isinstance(f, UpstreamResting)]
    known = [f for f in failures if f not in resting and not f.asked]
    met = [f for f in failures if f.asked]
    return next(iter([*met, *known, *resting]))


def _check(repository: str, reference: str) -> None:
    """Check names once more, although they were parsed before: they become part of a URL.

    :raises ValueError: if they must not be.
    """
    if not _REPOSITORY.match(repository) or ".." in repository or "//" in repository:
        raise ValueError("not a repository name")
    if not _REFERENCE.match(reference):
        raise ValueError("not a tag or digest")
