"""A fake of IRegistry: an upstream in memory that misbehaves on demand.

Everything happens through the clock: answers come ``delay`` seconds after the question, and
bodies arrive chunk by chunk, one for each turn of the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
)
from regcache.facts import ContentHead, ManifestAnswer
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IBlobBody, IRegistry
from tests.support.bodies import FakeBody, Fault

#: What HEAD says of a page that answers everything.
LOGIN_PAGE = ContentHead(None, 7, "text/html")


@implementer(IRegistry)
@dataclass
class FakeRegistry:
    """An upstream in memory.

    :ivar credentials: the fingerprint of those that are used, and of the first URL.
    :ivar more_credentials: those of further URLs.
    :ivar blobs: content by digest, for every repository unless ``holds`` says otherwise.
    :ivar manifests: (repository, reference) to (content, media type).
    :ivar holds: whether a repository has a digest.
    :ivar faults: for the next blob answers, one each; none means a right answer.
    :ivar private: repositories that only credentials can read; nobody else sees them.
    :ivar closed: repositories that refuse all credentials.
    :ivar refuses_missing: whether missing content is answered by 403, with any credentials.
    :ivar login_page: whether a question is answered by a login page: (repository, anonymous).
    :ivar claims: what HEAD of a tag says its digest is, where that is not the truth.
    :ivar takes_head: False: HEAD of a manifest is answered with its body, as one that came by GET.
    :ivar failure: what every question fails with, as long as it is set.
    :ivar refusing: what questions for blobs fail with that are put to a URL, by its index.
    :ivar silent: nothing is answered.
    :ivar overdue: the questions that outlasted the deadline.
    :ivar requests: every question: (what, repository, reference, ...).
    :ivar asked: which of its URLs each question for a blob was put to.
    :ivar stall_timeout: after how long a stalled body fails (seconds); None: never.
    :ivar relays_left: how many more bodies may become relays.
    :ivar loans: how many times one was.
    :ivar sent_wrong: (offset, bytes) of what was sent and is not the content.
    """

    clock: Clock
    name: str = "up.test"
    credentials: str = ""
    more_credentials: tuple[str, ...] = ()
    serve_private: bool = False
    url_count: int = 1
    chunk: int = 1000
    delay: float = 0.001
    pace: float = 0.001
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)
    tag_lists: dict[str, list[str]] = field(default_factory=dict)
    referrers: dict[Digest, bytes] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    refuses_missing: bool = False
    login_page: Callable[[str, bool], bool] = lambda repository, anonymous: False
    claims: dict[str, Digest | None] = field(default_factory=dict)
    holds: Callable[[str, Digest], bool] = lambda repository, digest: True
    loans: int = 0
    faults: list[Fault] = field(default_factory=list)
    takes_head: bool = True
    failure: UpstreamFailure | None = None
    refusing: dict[int, UpstreamFailure] = field(default_factory=dict)
    silent: bool = False
    overdue: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0
    stall_timeout: float | None = None
    relays_left: int = 1000
    sent_wrong: list[tuple[int, bytes]] = field(default_factory=list)
    requests: list[tuple[Any, ...]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    bodies: list[FakeBody] = field(default_factory=list)

    @property
    def all_credentials(self) -> frozenset[str]:
        """The fingerprints of the credentials of all URLs."""
        return frozenset(filter(None, (self.credentials, *self.more_credentials)))

    @property
    def identity(self) -> UpstreamIdentity:
        """As its name and the fields above have it."""
        users = frozenset(each.partition(".")[0] for each in self.all_credentials)
        return UpstreamIdentity(self.name, (f"https://{self.name}",), users, self.serve_private)

    def add(self, content: bytes) -> Digest:
        """Put a blob in."""
        digest = Digest.of(content)
        self.blobs[digest] = content
        return digest

    def add_manifest(self, repository: str, tag: str, content: bytes, media_type: str) -> Digest:
        """Put a manifest in, under its tag and its digest."""
        digest = Digest.of(content)
        self.manifests[repository, tag] = (content, media_type)
        self.manifests[repository, str(digest)] = (content, media_type)
        return digest

    def count(self, what: str) -> int:
        """How many questions of a kind were asked."""
        return sum(request[0] == what for request in self.requests)

    def head_manifest(
        self, repository: str, reference: str, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a manifest."""
        self.requests.append(("head_manifest", repository, reference, anonymous))
        return self._later(lambda: self._head_manifest(repository, reference, anonymous))

    def get_manifest(self, repository: str, reference: str) -> "Deferred[ManifestAnswer]":
        """GET of a manifest."""
        self.requests.append(("get_manifest", repository, reference))
        return self._later(lambda: self._get_manifest(repository, reference))

    def head_blob(
        self, repository: str, digest: Digest, anonymous: bool = False
    ) -> "Deferred[ContentHead]":
        """HEAD of a blob."""
        self.requests.append(("head_blob", repository, digest, anonymous))
        return self._later(lambda: self._head_blob(repository, digest, anonymous))

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
        """GET of a blob."""
        self.requests.append(("get_blob", repository, digest, start, end))
        fault = self.faults.pop(0) if self.faults else Fault()
        url = next(index for index in range(self.url_count) if index not in skip)
        self.asked.append(url)
        wanted = (start, end, fault, url, relayed)
        return self._later(lambda: self._get_blob(repository, digest, *wanted))

    def note_sent(self, content: bytes, start: int, data: bytes) -> None:
        """Some bytes of a body went out."""
        self.sent += len(data)
        if content[start : start + len(data)] != data:
            self.sent_wrong.append((start, data))

    def list_tags(self, repository: str) -> "Deferred[list[str]]":
        """The tags."""
        self.requests.append(("list_tags", repository))
        return self._later(lambda: self._known(self.tag_lists, repository))

    def get_referrers(self, repository: str, digest: Digest) -> "Deferred[ManifestAnswer]":
        """The referrers."""
        self.requests.append(("get_referrers", repository, digest))
        return self._later(
            lambda: ManifestAnswer(self._known(self.referrers, digest), "", None, self.credentials)
        )

    def note_overdue(self, repository: str, reference: str) -> None:
        """Note it."""
        self.overdue.append((repository, reference))

    def _later(self, answer: Callable[[], Any]) -> "Deferred[Any]":
        result: Deferred[Any] = Deferred()
        failure = self.failure

        def settle() -> None:
            if result.called:
                return
            try:
                if failure is not None:
                    raise failure
                value = answer()
            except UpstreamFailure as error:
                result.errback(error)
            else:
                result.callback(value)

        if not self.silent:
            self.clock.callLater(self.delay, settle)
        return result

    def _known(self, table: dict[Any, Any], key: Any) -> Any:
        if key not in table:
            raise UpstreamNotFound(self.name, "not found", status=404)
        return table[key]

    def _refuse_missing(self, repository: str, reference: str, anonymous: bool) -> None:
        if self.refuses_missing and (repository, reference) not in self.manifests:
            raise self._denial(anonymous)

    def _denial(self, anonymous: bool) -> UpstreamDenied:
        return UpstreamDenied(
            self.name,
            "it gives no access",
            status=403,
            credentials_used=bool(self.credentials and not anonymous),
            detail="go away",
        )

    def _hide_private(self, repository: str, anonymous: bool) -> None:
        if repository in self.closed:
            raise self._denial(anonymous)
        if repository in self.private and (anonymous or not self.credentials):
            raise UpstreamNotFound(self.name, "not found", status=404)

    def _head_manifest(self, repository: str, reference: str, anonymous: bool) -> ContentHead:
        if self.login_page(repository, anonymous):
            return LOGIN_PAGE
        self._hide_private(repository, anonymous)
        self._refuse_missing(repository, reference, anonymous)
        content, media_type = self._known(self.manifests, (repository, reference))
        credentials = "" if anonymous else self.credentials
        digest = self.claims.get(reference, Digest.of(content))
        body = ManifestAnswer(content, media_type, None, credentials)
        return ContentHead(
            digest, len(content), media_type, credentials, body=None if self.takes_head else body
        )

    def _get_manifest(self, repository: str, reference: str) -> ManifestAnswer:
        self._hide_private(repository, False)
        self._refuse_missing(repository, reference, False)
        content, media_type = self._known(self.manifests, (repository, reference))
        return ManifestAnswer(content, media_type, None, self.credentials)

    def _blob(self, repository: str, digest: Digest) -> bytes:
        if not self.holds(repository, digest):
            raise UpstreamNotFound(self.name, "not found", status=404)
        content: bytes = self._known(self.blobs, digest)
        return content

    def _head_blob(self, repository: str, digest: Digest, anonymous: bool) -> ContentHead:
        if self.login_page(repository, anonymous):
            return LOGIN_PAGE
        self._hide_private(repository, anonymous)
        size = len(self._blob(repository, digest))
        return ContentHead(digest, size, "", "" if anonymous else self.credentials)

    def _get_blob(
        self,
        repository: str,
        digest: Digest,
        start: int,
        end: int | None,
        fault: Fault,
        url_index: int,
        relayed: bool,
    ) -> FakeBody:
        self._hide_private(repository, False)
        content = self._blob(repository, digest)
        if url_index in self.refusing:
            self.refusing[url_index].url_index = url_index
            raise self.refusing[url_index]
        if fault.refuse is not None:
            fault.refuse.url_index = url_index if fault.by_url is None else fault.by_url
            raise fault.refuse
        if start and start >= len(content):
            raise UpstreamBadAnswer(self.name, "416", status=416)
        stop = len(content) if end is None else min(end, len(content))
        if fault.ignore_range:
            start, stop = 0, len(content)
        body = FakeBody(self, content, start, stop, fault, url_index, relayed)
        self.bodies.append(body)
        return body
