"""What the upstreams of a configuration become."""

import os
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from regcache.cache.policy import TagTtl
from regcache.config.loading import loads
from regcache.identity import UpstreamIdentity
from regcache.interfaces import IRegistry
from regcache.metrics import Metrics
from regcache.parsing import Parser
from regcache.upstreams import BuiltUpstreams, UpstreamSetupError, build_upstreams
from regcache.watching import INTERVAL
from tests.support.pools import ImmediatePool


class BuildTests(SynchronousTestCase):
    """Upstreams that are built, and ask nothing."""

    def build(self, text: str, former: BuiltUpstreams | None = None) -> BuiltUpstreams:
        """What a text stands for."""
        config = loads(dedent(text), "regcache.yml", {}).config
        self.reactor: Any = MemoryReactorClock()  # type: ignore[no-untyped-call]
        pool = ImmediatePool()
        return build_upstreams(
            config, self.reactor, pool, Metrics(), parser=Parser(pool), former=former
        )

    def test_known(self) -> None:
        """Without a section all known registries are there, anonymous, with nothing to watch."""
        built = self.build("")
        self.assertIn("docker.io", built.upstreams)
        self.assertGreaterEqual(len(built.upstreams), 5)
        for name, upstream in built.upstreams.items():
            verifyObject(IRegistry, upstream.registry)
            self.assertEqual((upstream.name, upstream.registry.credentials), (name, ""))
        self.assertEqual(list(built.watchers), [])

    def test_policy(self) -> None:
        """The keys of the policy reach the cache."""
        built = self.build(
            """
            upstreams:
              a.test:
                urls: [https://a.test, https://b.test]
                serve_private: true
                tag_ttl: [{match: "*-rc*", ttl: 1m}, {match: "*", ttl: 1h}]
                negative_ttl: 5s
                stale_if_error: 2d
                on_missing: stale
                deadline: 7s
            """
        )
        upstream = built.upstreams["a.test"]
        self.assertEqual(upstream.registry.url_count, 2)
        policy = upstream.policy
        self.assertEqual(policy.tag_ttls, (TagTtl("*-rc*", 60.0), TagTtl("*", 3600.0)))
        self.assertEqual(
            (policy.negative_ttl, policy.stale_if_error, policy.deadline), (5.0, 172800.0, 7.0)
        )
        self.assertTrue(policy.keep_missing)
        self.assertTrue(upstream.identity.serve_private)

    def test_credentials(self) -> None:
        """Credentials have a fingerprint, that of a file one which follows the file."""
        secret = Path(self.mktemp()).absolute()
        secret.write_text("one\n")
        secret.chmod(0o600)
        built = self.build(
            f"""
            upstreams:
              a.test: {{urls: [https://a.test], username: me, password: one}}
              b.test: {{urls: [https://b.test], username: me, password_file: {secret}}}
            """
        )
        plain, file = (built.upstreams[name].registry for name in ("a.test", "b.test"))
        self.assertTrue(plain.credentials)
        self.assertEqual(plain.credentials, file.credentials)
        (watcher,) = built.watchers
        watcher.startService()
        secret.write_text("two\n")
        self.reactor.advance(INTERVAL)
        watcher.stopService()
        self.assertNotEqual(plain.credentials, file.credentials)

    def test_identity(self) -> None:
        """An upstream is what its URLs, its users and serve_private say, not its passwords."""
        changes = {
            "password: other": True,
            "username: she": False,
            "serve_private: true": False,
            "urls: [https://b.test]": False,
        }
        told = {"urls": "[https://a.test]", "username": "me", "password": "one"}
        before = self.identity(told)
        self.assertEqual((before.name, before.urls), ("a.test", ("https://a.test",)))
        for change, same in changes.items():
            key, _, value = change.partition(": ")
            with self.subTest(change=change):
                self.assertEqual(self.identity({**told, key: value}) == before, same)

    def identity(self, keys: Mapping[str, str]) -> UpstreamIdentity:
        """The identity of an upstream with these keys."""
        lines = "".join(f"\n                {key}: {value}" for key, value in keys.items())
        built = self.build(f"""
            upstreams:
              a.test:{lines}
            """)
        return built.upstreams["a.test"].identity

    def test_environment(self) -> None:
        """A proxy in the environment that is none stops the start, and its secret stays one."""
        self.patch(os, "environ", {"https_proxy": "socks://me:geheim@proxy:1"})
        error = self.assertRaises(UpstreamSetupError, self.build, "")
        self.assertIn("https_proxy", str(error))
        self.assertNotIn("geheim", str(error))
        self.build("upstreams: {a.test: {urls: [https://a.test], proxy: direct}}")

    def test_taken_over(self) -> None:
        """What is asked in the same way goes on, and only that; the others are hung up on."""
        keys = "urls: [https://a.test], username: me, password: one"
        before = self.build(
            f"upstreams: {{a.test: {{{keys}}}, b.test: {{urls: [https://b.test]}}}}"
        )
        for change, same in (
            (f"{keys}, tag_ttl: 7h, deny: [x], aliases: [c.test]", True),
            (keys.replace("one", "two"), False),
            (f"{keys}, max_downloads: 3", False),
            (f"{keys}, serve_private: true", False),
        ):
            after = self.build(f"upstreams: {{a.test: {{{change}}}}}", before)
            kept = after.registries["a.test"] is before.registries["a.test"]
            self.assertEqual(kept, same, change)
            self.successResultOf(Deferred.fromCoroutine(before.hang_up(after)))
        dns = self.build(f"dns: [192.0.2.1]\nupstreams: {{a.test: {{{keys}}}}}", before)
        self.assertIsNot(dns.registries["a.test"], before.registries["a.test"])

    def test_hang_up(self) -> None:
        """Hanging up ends at once where no connection is open."""
        built = self.build("")
        self.successResultOf(Deferred.fromCoroutine(built.hang_up()))  # type: ignore[arg-type]
        self.assertEqual(self.reactor.getDelayedCalls(), [])
