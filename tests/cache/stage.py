"""A cache before a real upstream client on an internet in memory, for whole scenes."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from regcache.cache.policy import Policy, TagTtl
from regcache.digests import Digest
from regcache.errors import ManifestUnknownError, UpstreamFailure
from regcache.identity import UpstreamIdentity
from regcache.media_types import OCI_MANIFEST
from regcache.parsing import Parser
from regcache.upstream.agent import tls_policy
from regcache.upstream.build import Surroundings, Timeouts, UpstreamUrl, build_registry
from tests.cache.cases import APP, manifest_of
from tests.support.caches import Caches
from tests.support.pools import ImmediatePool
from tests.upstream.network import Handler, Network, Seen, response
from tests.upstream.recorders import Meter

ADDRESS = "203.0.113.5"
REALM = "203.0.113.6"
ACCOUNT = ("me", "secret")
BASIC = "Basic " + base64.b64encode(b"me:secret").decode()
TAG_TTL, NEGATIVE_TTL, STALE_IF_ERROR, RETRY_AFTER = 300, 10, 3600, 60


class Stage:
    """One upstream with one tag.

    :ivar elapsed: seconds that the last question took.
    """

    def __init__(self, directory: str) -> None:
        self.network = Network()
        self.network.advance(1_000_000)
        self.network.names.update({"registry.test": [ADDRESS], "auth.test": [REALM]})
        self.contents = {"latest": manifest_of()}
        self.elapsed = 0.0
        self.account: tuple[str, str] | None = None
        self.serve(self.good)
        self.policy = Policy(
            tag_ttls=(TagTtl("*", TAG_TTL),),
            negative_ttl=NEGATIVE_TTL,
            stale_if_error=STALE_IF_ERROR,
        )
        self._directory = directory
        self._meter = Meter()
        self.build()

    def build(self, **policy: Any) -> None:
        """Build the cache, empty, with another policy."""
        around = Surroundings(
            self.network,
            self.network,
            self._meter,
            Parser(ImmediatePool()),
            unix_now=self.now,
            chance=lambda: 0.0,
        )
        url = UpstreamUrl("http://registry.test", lambda: self.account, ("auth.test",))
        registry = build_registry(
            UpstreamIdentity("up.test", serve_private=True),
            [url],
            around,
            tls=tls_policy(),
            timeouts=Timeouts(),
        )
        self.policy = replace(self.policy, **policy)
        self.caches = Caches(self._directory, self.network, registry, policy=self.policy)

    def now(self) -> float:
        """The time."""
        return self.network.seconds()

    def serve(self, handler: Handler | None) -> None:
        """How the upstream answers from now on; None swallows attempts to connect."""
        self.network.serve(ADDRESS, 80, handler)
        for line in self.network.lines:
            line.handler = handler or (lambda _: None)

    def hang_up(self) -> None:
        """Close the connections that are open."""
        for line in self.network.lines:
            line.close()
        self.network.settle()

    def good(self, seen: Seen) -> bytes:
        """The upstream in good health, which wants credentials if we have any."""
        if self.account and seen.headers.get("authorization") != BASIC:
            return response(401, b"", WWW_Authenticate='Basic realm="x"')
        return self.content(seen)

    def content(self, seen: Seen) -> bytes:
        """The manifest that is asked for, by tag or digest."""
        reference = seen.path.rpartition("/")[2]
        by_digest = {str(Digest.of(each)): each for each in self.contents.values()}
        content = self.contents.get(reference) or by_digest.get(reference)
        if content is None:
            return response(404)
        return self.manifest(content)

    def manifest(self, content: bytes, digest: Digest | None = None) -> bytes:
        """An answer with a manifest."""
        named = str(digest or Digest.of(content))
        return response(200, content, Content_Type=OCI_MANIFEST, Docker_Content_Digest=named)

    def begin(self, tag: str = "latest", repository: str = APP) -> "Deferred[Any]":
        """GET of a tag."""
        return Deferred.fromCoroutine(self.caches.tags.by_tag(self.caches.served(repository), tag))

    def ask(self, tag: str = "latest", repository: str = APP) -> str:
        """GET of a tag: Cache-Status, or the status of the refusal."""
        asking, outcomes = self.begin(tag, repository), []
        asking.addBoth(outcomes.append)
        started = self.now()
        self.network.settle()
        while not outcomes and self.now() - started < 120:
            self._next_event()
        self.elapsed = self.now() - started
        return _told(outcomes[0])

    def _next_event(self) -> None:
        calls = self.network.getDelayedCalls()
        if calls:
            soonest = min(call.getTime() for call in calls)
            self.network.advance(max(0.0, soonest - self.now()))
        self.network.settle()

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.network.settle()
        self.network.advance(seconds)
        self.network.settle()

    def methods(self) -> list[str]:
        """The requests for manifests since this was asked last."""
        seen = [each.method for each in self.network.requests if "/manifests/" in each.path]
        self.network.requests.clear()
        return seen

    def stop(self) -> None:
        """Stop the cache."""
        self.caches.stop()


def _told(outcome: Any) -> str:
    if hasattr(outcome, "status"):
        return str(outcome.status.text).removeprefix("regcache; ")
    failure = outcome.value
    error = (
        failure.answer(ManifestUnknownError) if isinstance(failure, UpstreamFailure) else failure
    )
    told = str(error.status)
    return f"{told} with `Retry-After`" if "Retry-After" in error.headers else told


def constant(status: int, **headers: str) -> Handler:
    """An upstream that always says the same."""
    return lambda _: response(status, b"", **headers)


def nothing(_: Seen) -> None:
    """An upstream that accepts everything and answers nothing."""


def nonsense(seen: Seen) -> bytes:
    """An upstream whose web server has been taken over by another one."""
    return response(200, b"<html></html>", Content_Type="text/html")


Scene = Callable[[Stage], None]
