"""Upstreams that limit the rate: what they said is kept, passed on, and not asked about again."""

import email.utils
import time

from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.faults import Fault
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import mixed_image
from tests.support.processes import wait_until
from tests.support.registry_client import Answer
from tests.support.servers import Regcache

REPOSITORY = "team/app"
BASE = f"/v2/{REPOSITORY}"
IMAGE = mixed_image("limits", 1000)
COLD = ("manifests/cold", f"manifests/{IMAGE.digest}", f"blobs/{IMAGE.blobs[0].digest}")
KINDS = ("manifests", "blobs")


class RateLimitTests(PullThroughCase):
    """429, Retry-After, and ratelimit-remaining."""

    def setUp(self) -> None:
        """An upstream with one image, and a daemon whose tags are fresh for a second."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.upstream.add_image(REPOSITORY, IMAGE, "1")

    def start(self, **settings: object) -> None:
        """Start the daemon."""
        config = upstream_config(self.upstream.url, tag_ttl="1s", **settings)
        self.daemon: Regcache = self.regcache(config)
        self.client = self.daemon.client()

    def limit(self, retry_after: int | str | None) -> None:
        """Let the upstream answer nothing but 429."""
        self.upstream.faults.always("/v2/*", Fault(status=429, retry_after=retry_after))

    def assert_limited(self, answer: Answer, least: int, most: int) -> None:
        """429 with a Retry-After between these."""
        self.assertEqual((answer.status, answer.errors), (429, ["TOOMANYREQUESTS"]), answer)
        self.assertIn(int(answer.headers["retry-after"]), range(least, most + 1))

    def test_retry_after_is_passed_on_and_obeyed(self) -> None:
        """Clients get what remains of it, and until then nothing of the kind is asked."""
        self.start()
        self.limit(600)
        for path in COLD:
            self.assert_limited(self.client.get(f"{BASE}/{path}"), 400, 600)
            self.assertEqual(self.client.head(f"{BASE}/{path}").status, 429)
        self.upstream.faults.clear()
        left = int(self.client.get(f"{BASE}/manifests/1").headers["retry-after"])
        time.sleep(1.1)
        self.assert_limited(self.client.get(f"{BASE}/manifests/1"), 400, left - 1)
        self.assertEqual([len(self.upstream.asked(kind)) for kind in KINDS], [1, 1])
        self.assertEqual(len(self.upstream.requests), 2)

    def test_a_limit_of_manifests_is_none_of_layers(self) -> None:
        """A pull whose manifest was there in time gets its layers."""
        self.start()
        self.upstream.faults.always("*/manifests/*", Fault(status=429, retry_after=3600))
        self.assert_limited(self.client.get(f"{BASE}/manifests/1"), 3000, 3600)
        for digest, blob in IMAGE.all_blobs().items():
            self.assertEqual(self.client.get(f"{BASE}/blobs/{digest}").body, blob.data)

    def test_when_retry_after_is_over_all_is_well(self) -> None:
        """Nothing is asked until then; the first question after it is answered."""
        self.start()
        self.upstream.faults.then("/v2/*", Fault(status=429, retry_after=2))
        started = time.monotonic()
        self.assert_limited(self.client.get(f"{BASE}/manifests/1"), 1, 2)
        wait_until(lambda: self.client.get(f"{BASE}/manifests/1").status == 200, "it is over")
        self.assertGreater(time.monotonic() - started, 2)
        self.assertEqual(len(self.upstream.requests), 2)
        self.assertEqual(self.client.get(f"{BASE}/{COLD[2]}").status, 200)

    def test_a_date_and_nothing_at_all(self) -> None:
        """Retry-After may be a date (RFC 9110, 10.2.3); without one some time is chosen."""
        cases: dict[str, tuple[str | None, int, int]] = {
            "date.test": (email.utils.formatdate(time.time() + 1000, usegmt=True), 800, 1000),
            "none.test": (None, 1, 60),
            "nonsense.test": ("nonsense", 1, 60),
            "negative.test": ("-5", 1, 60),
            "huge.test": ("9" * 40, 1, 7 * 24 * 3600),
        }
        daemon = self.regcache(
            {"upstreams": {name: {"urls": [self.upstream.url]} for name in cases}}
        )
        for name, (retry_after, least, most) in cases.items():
            self.upstream.faults.clear()
            self.limit(retry_after)
            answer = daemon.client().get(f"/v2/{name}/{REPOSITORY}/manifests/1")
            self.assert_limited(answer, least, most)

    def test_what_is_cached_is_served_meanwhile(self) -> None:
        """A tag whose time is over is asked about once, and served as it is after that."""
        self.start()
        self.client.get(f"{BASE}/manifests/1")
        before = len(self.upstream.requests)
        self.limit(600)
        time.sleep(1.1)
        told = [self.client.get(f"{BASE}/manifests/1") for _ in range(5)]
        self.assertEqual({one.body for one in told}, {IMAGE.data})
        statuses = [one.headers["cache-status"] for one in told]
        self.assertEqual(statuses[0], "regcache; fwd=stale; fwd-status=429")
        for one in statuses[1:]:
            self.assertRegex(one, r"^regcache; hit; ttl=-?\d+; detail=stale$")
        self.assertEqual(len(self.upstream.requests), before + 1)
        self.assertEqual(self.daemon.metric("regcache_upstream_up", upstream=UPSTREAM), 1)

    def test_a_limit_is_of_one_entry_and_its_credentials(self) -> None:
        """Another entry for the same host, with other credentials, is not held up."""
        other = {"urls": [self.upstream.url], "username": "me", "password": "mine-alone"}
        config = upstream_config(self.upstream.url)
        config["upstreams"]["other.test"] = {**other, "serve_private": True}
        daemon = self.regcache(config)
        self.upstream.faults.then("/v2/*", Fault(status=429, retry_after=600))
        self.assert_limited(daemon.client().get(f"{BASE}/manifests/1"), 400, 600)
        answer = daemon.client().get(f"/v2/other.test/{REPOSITORY}/manifests/1")
        self.assertEqual(answer.status, 200)
        self.assert_limited(daemon.client().get(f"{BASE}/manifests/cold"), 400, 600)

    def test_a_realm_that_limits(self) -> None:
        """429 of the token realm is passed on like the registry's own."""
        self.upstream.require_token()
        self.upstream.faults.always("/token", Fault(status=429, retry_after=600))
        self.start()
        for _ in range(3):
            self.assert_limited(self.client.get(f"{BASE}/manifests/1"), 400, 600)
        self.assertEqual(len(self.upstream.token_requests), 1)

    def test_what_remains_is_told(self) -> None:
        """``ratelimit-remaining`` is in the metrics, as the upstream said last."""
        self.start()
        for remaining in (76, 75):
            fields = {
                "ratelimit-limit": "100;w=21600",
                "ratelimit-remaining": f"{remaining};w=21600",
            }
            self.upstream.faults.then("*/manifests/*", Fault(headers=fields))
            self.assertEqual(self.client.get(f"{BASE}/manifests/1").status, 200)
            told = self.daemon.metric("regcache_upstream_ratelimit_remaining", upstream=UPSTREAM)
            self.assertEqual(told, remaining)
            time.sleep(1.1)
