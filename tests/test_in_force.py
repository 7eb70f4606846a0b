"""Configurations in force: several over one engine, and one in the place of another."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.principals import UNLIMITED
from regcache.cache.configured import Caches
from regcache.checking import Checking
from regcache.config.loading import loads
from regcache.digests import Digest
from regcache.engine import Engine
from regcache.file_events import FileEvents
from regcache.in_force import CurrentConfiguration, InForce, build_in_force
from regcache.media_types import OCI_MANIFEST
from regcache.metering import build_metering
from regcache.metrics import Metrics
from regcache.parsing import Parser
from regcache.short_lived import build_short_lived
from regcache.web.pacing.pacing import Pacing
from regcache.web.sender import Turns
from tests.cache.cases import manifest_of
from tests.support import caches
from tests.support.pools import ImmediatePool
from tests.support.senders import make_terms
from tests.support.web_client import MemoryClient, RecordList, make_site
from tests.upstream.network import Network, Seen, response

OLD, NEW = "203.0.113.5", "203.0.113.6"
BLOB = bytes(range(256)) * 1200
DIGEST = Digest.of(BLOB)
ENDPOINT = "tcp:5000:interface=127.0.0.1"


class NetworkNames(Network):
    """An internet in memory whose names the system's resolver knows."""

    @property
    def nameResolver(self) -> "NetworkNames":
        """The resolver of a reactor."""
        return self

    def resolveHostName(self, receiver: Any, host: str, portNumber: int = 0) -> None:
        """Tell the addresses of a name."""
        receiver.resolutionBegan(None)
        for address in self.names.get(host, []):
            receiver.addressResolved(IPv4Address("TCP", address, portNumber))
        receiver.resolutionComplete()


class InForceCase(SynchronousTestCase):
    """Two registries, one engine, and the name "corp", which means one of them."""

    def setUp(self) -> None:
        self.network = NetworkNames()
        self.network.advance(1_000_000)
        self.network.names.update({"old.test": [OLD], "new.test": [NEW]})
        self.caches = caches.Caches(os.path.abspath(self.mktemp()), self.network)
        self.addCleanup(self.stop)
        self.engine = make_engine(self.caches, self.network)

    def build(self, keys: str = "urls: ['http://old.test']", more: str = "") -> InForce:
        """What a configuration with these keys of the upstream means."""
        text = f"default_upstream: corp\nupstreams:\n  corp: {{{keys}}}\n{more}"
        return build_in_force(loads(text, "regcache.yml", {}).config, self.engine)

    def start(self, first: InForce) -> CurrentConfiguration:
        """Put a configuration in force."""
        self.current = CurrentConfiguration(first, self.engine.metrics, self.engine.answer_limits)
        dispatch = self.current.dispatch(ENDPOINT)
        self.records = RecordList()
        self.site = make_site(
            dispatch,
            self.network,
            pacing=self.engine.pacing,
            recorders=[self.records],
            proxies=self.current.proxies,
            shown_host=self.current.shown_host,
        )
        return self.current

    def serve(self, address: str, answer: Callable[[Seen], bytes | None]) -> None:
        """Put a registry on the network."""
        self.network.serve(address, 80, answer)

    def ask(self, target: str) -> MemoryClient:
        """Ask over a connection of its own, until nothing happens any more."""
        client = MemoryClient(self.site).request("GET", target)
        self.network.pass_time(0.5)
        return client

    def stop(self) -> None:
        """Stop, as the daemon does."""
        for line in self.network.lines:
            line.close()
        self.caches.stop()


def make_engine(parts: caches.Caches, network: Network) -> Engine:
    """An engine over a store in a temporary directory, without threads."""
    pool: Any = ImmediatePool()
    nothing: Any = None
    terms = make_terms(network, 60.0)
    return Engine(
        reactor=network,
        metrics=Metrics(),
        lock=nothing,
        system=nothing,
        index_pool=pool,
        looking_pool=pool,
        disk_pool=pool,
        password_pool=pool,
        parser=Parser(pool),
        index=parts.index,  # type: ignore[arg-type]
        store=parts.store,
        ledger=nothing,
        space=nothing,
        evictor=nothing,
        sweeper=nothing,
        sweep_times=nothing,
        recount=nothing,
        checking=Checking(pool, nothing, nothing, nothing),
        downloads=parts.downloads,
        caches=Caches(
            blobs=parts.blobs,
            tags=parts.tags,
            listings=parts.listings,
            used=lambda digest: None,
            pulled=lambda *pull: None,
        ),
        removal=parts.removal,
        cached_only=nothing,
        shown_images=nothing,
        refusals=parts.refusals,
        spare_bodies=parts.spare_bodies,
        closed_repositories=parts.closed_repositories,
        senders=nothing,
        turns=Turns(network),
        rounds=terms.rounds,
        pacing=Pacing(network, lambda step: step()),
        metering=build_metering(network, Metrics()),
        feeding=set(),
        short_lived=build_short_lived("", pool, network),
        file_events=FileEvents(network, pool),
    )


def manifest(content: bytes) -> bytes:
    """An answer with a manifest."""
    digest = str(Digest.of(content))
    return response(200, content, Content_Type=OCI_MANIFEST, Docker_Content_Digest=digest)


class TwoTests(InForceCase):
    """Two configurations over one engine."""

    def test_download_is_not_joined(self) -> None:
        """A changed upstream joins no download of the one that had its name, which goes on."""
        self.serve(OLD, lambda seen: response(200, BLOB)[:200_000])
        self.serve(NEW, lambda seen: response(404))
        self.start(self.build())
        before = self.ask(f"/v2/org/app/blobs/{DIGEST}")
        self.assertEqual(len(self.caches.downloads), 1)
        self.current.replace(self.build("urls: ['http://new.test']"))
        after = self.ask(f"/v2/org/app/blobs/{DIGEST}")
        self.assertEqual(after.answer().status, 404)
        (old,) = [line for line in self.network.lines if line.host == OLD]
        old.send(response(200, BLOB)[200_000:])
        self.network.pass_time(5)
        self.assertEqual((before.answer().status, before.answer().body), (200, BLOB))
        self.assertEqual(len([each for each in self.network.requests if each.host == OLD]), 1)

    def test_download_is_joined(self) -> None:
        """The same upstream under another configuration shares it."""
        self.serve(OLD, lambda seen: response(200, BLOB)[:200_000])
        self.start(self.build())
        clients = [self.ask(f"/v2/org/app/blobs/{DIGEST}")]
        self.current.replace(self.build(more="log: {access: false}\n"))
        clients.append(self.ask(f"/v2/org/app/blobs/{DIGEST}"))
        (old,) = self.network.lines
        old.send(response(200, BLOB)[200_000:])
        self.network.pass_time(5)
        self.assertEqual([client.answer().body for client in clients], [BLOB, BLOB])
        self.assertEqual(len(self.network.requests), 1)

    def test_rate(self) -> None:
        """The rate that is in force limits all answers; without one nothing does."""
        self.start(self.build(more="limits: {rate: 5MiB}\n"))
        self.assertTrue(self.engine.pacing.applies(UNLIMITED))
        self.current.replace(self.build())
        self.assertFalse(self.engine.pacing.applies(UNLIMITED))

    def test_rate_of_answers_under_way(self) -> None:
        """A rate that comes holds for an answer that has begun without any."""
        self.serve(OLD, lambda seen: response(200, BLOB)[:200_000])
        self.start(self.build())
        client = self.ask(f"/v2/org/app/blobs/{DIGEST}")
        count = len(client.raw)
        self.current.replace(self.build(more="limits: {rate: 10KiB}\n"))
        (line,) = self.network.lines
        line.send(response(200, BLOB)[200_000:])
        self.network.pass_time(1)
        self.assertLess(len(client.raw) - count, 20_000)
        client.leave()

    def test_tag(self) -> None:
        """A fresh tag of the one is not a tag of the other, and is there again with the first."""
        contents = {OLD: manifest_of(b"old"), NEW: manifest_of(b"new")}
        for address, content in contents.items():
            self.serve(address, lambda seen, content=content: manifest(content))
        configurations = {OLD: self.build(), NEW: self.build("urls: ['http://new.test']")}
        self.start(configurations[OLD])
        for address in (OLD, NEW, OLD, NEW):
            self.current.replace(configurations[address])
            answer = self.ask("/v2/org/app/manifests/latest").answer()
            self.assertEqual((answer.status, answer.body), (200, contents[address]))
        self.assertEqual([each.host for each in self.network.requests], [OLD, NEW])

    def test_refusal(self) -> None:
        """What the one has refused a moment ago the other one is asked for."""
        self.serve(OLD, lambda seen: response(404))
        self.serve(NEW, lambda seen: manifest(manifest_of()))
        self.start(self.build("urls: ['http://old.test'], negative_ttl: 1h"))
        statuses = []
        for url in ("http://old.test", "http://old.test", "http://new.test"):
            self.current.replace(self.build(f"urls: ['{url}'], negative_ttl: 1h"))
            statuses.append(self.ask("/v2/org/app/manifests/latest").answer().status)
        self.assertEqual(statuses, [404, 404, 200])
        self.assertEqual([each.host for each in self.network.requests], [OLD, NEW])


class ReplaceTests(InForceCase):
    """One configuration in the place of another."""

    def test_routes(self) -> None:
        """New requests see the new upstreams, and the metrics have their names."""
        self.serve(OLD, lambda seen: manifest(manifest_of()))
        self.start(self.build())
        target = "/v2/other.test/org/app/manifests/latest"
        self.assertEqual(self.ask(target).answer().status, 404)
        self.current.replace(self.build(more="  other.test: {urls: ['http://old.test']}\n"))
        self.assertEqual(self.ask(target).answer().status, 200)
        self.assertIn(b'requests_total{upstream="other.test"} 1', self.engine.metrics.render())

    def test_listener_that_is_gone(self) -> None:
        """A client of a listener that is not configured any more is refused."""
        self.start(self.build())
        self.assertEqual(self.ask("/v2/").answer().status, 200)
        self.current.replace(self.build(more="listeners: [{endpoint: tcp:5001}]\n"))
        self.assertEqual(self.ask("/v2/").answer().status, 503)

    def test_redirect(self) -> None:
        """What a listener does is the configuration's affair, and needs no index for a redirect."""
        self.start(self.build(more="listeners: [{endpoint: '" + ENDPOINT + "', redirect: https}]"))
        self.assertEqual(self.ask("/v2/").answer().status, 308)
        self.current.replace(self.build())
        self.assertEqual(self.ask("/v2/").answer().status, 200)

    def test_watchers(self) -> None:
        """Each configuration's files are watched while it is in force, and the process runs."""
        secret = Path(self.mktemp()).absolute()
        secret.write_text("x")
        secret.chmod(0o600)
        keys = f"urls: ['http://old.test'], username: me, password_file: '{secret}'"
        first, second = self.build(keys), self.build(keys)
        current = self.start(first)
        self.assertEqual(running(first, second), [False, False])
        current.startService()
        self.assertEqual(running(first, second), [True, False])
        current.replace(second)
        self.assertEqual(running(first, second), [False, True])
        current.stopService()
        self.assertEqual(running(first, second), [False, False])

    def test_idle_connections(self) -> None:
        """Idle connections to the upstreams of a configuration that was replaced are closed."""
        self.serve(OLD, lambda seen: manifest(manifest_of()))
        self.start(self.build())
        self.ask("/v2/org/app/manifests/latest")
        (line,) = self.network.lines
        self.assertFalse(line.closed_by_client)
        self.current.replace(self.build())
        self.network.settle()
        self.assertTrue(line.closed_by_client)


def running(*configurations: InForce) -> list[bool]:
    """Whether the only watcher of each runs."""
    watchers: list[Service] = []
    for each in configurations:
        watchers += each.watchers
    return [bool(each.running) for each in watchers]
