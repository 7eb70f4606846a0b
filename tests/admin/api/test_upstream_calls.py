"""GET upstreams."""

from typing import Any

from regcache.access.grants import Action, Grant, Rule
from regcache.admin.api.calls import CallRoute
from regcache.admin.api.upstream_calls import (
    GET_UPSTREAMS,
    UpstreamFacts,
    failing_since,
    state_of,
    upstream_routes,
)
from regcache.plans import UpstreamSums
from regcache.upstream_health import AnswerFacts, UpstreamHealth
from tests.support.api import ALICE, ROOT, ApiCase
from tests.support.health import DOWN, LIMITED, SLOW, UNASKED, health, url_health

PULL = frozenset({Action.PULL})


class UpstreamCase(ApiCase):
    """Some upstreams."""

    def routes(self) -> list[CallRoute]:
        self.health: list[UpstreamHealth] = [health()]
        self.stored: UpstreamSums | None = None
        return upstream_routes(
            lambda: [
                UpstreamFacts(
                    health=each,
                    aliases=["alias.test"],
                    hosts=["a.example"],
                    downloads=2,
                    max_downloads=16,
                    stored=self.stored,
                )
                for each in self.health
            ]
        )

    def items(self, credentials: str = "") -> Any:
        """The answer's items."""
        return self.answered(GET_UPSTREAMS, self.get("upstreams", credentials))["items"]


class UpstreamTests(UpstreamCase):
    """What is told."""

    def test_well(self) -> None:
        """One that answers; what is not known is null."""
        (item,) = self.items()
        self.assertEqual((item["name"], item["state"], item["since"]), ("a.test", "ok", None))
        self.assertEqual((item["downloads"], item["max_downloads"]), (2, 16))
        self.assertEqual((item["aliases"], item["hosts"]), (["alias.test"], ["a.example"]))
        self.assertEqual(item["urls"][0]["url"], "https://a.test")
        for name in ("answer_p50_ms", "hit_ratio_7d", "stored_bytes", "ratelimit", "account"):
            self.assertIsNone(item[name], name)
        self.assertEqual(item["answer_series_ms"], [None] * 24)

    def test_answers(self) -> None:
        """How fast it answers, by the hour, and what is stored of it."""
        hours = (*[None] * 22, 0.0501, 1.25)
        self.health = [
            UpstreamHealth("a.test", "", None, [url_health()], answers=AnswerFacts(0.07, hours))
        ]
        self.stored = UpstreamSums("a.test", 500, 20, 3)
        (item,) = self.items()
        self.assertEqual(
            (item["answer_p50_ms"], item["answer_series_ms"][-3:]), (70, [None, 50, 1250])
        )
        self.assertEqual((item["stored_bytes"], item["repositories"]), (500, 3))

    def test_down(self) -> None:
        """One that does not answer says since when, why, and when it is tried again."""
        self.health = [health("a.test", DOWN)]
        (item,) = self.items()
        self.assertEqual((item["state"], item["since"]), ("down", "2027-01-15T08:00:00Z"))
        (url,) = item["urls"]
        self.assertEqual((url["breaker"], url["next_try"]), ("open", "2027-01-15T08:01:00Z"))
        self.assertEqual(url["last_error"]["code"], "timeout")

    def test_limited(self) -> None:
        """One whose limit is used up says until when."""
        self.health = [health("a.test", LIMITED)]
        (item,) = self.items()
        self.assertEqual(item["state"], "limited")
        self.assertEqual(
            item["ratelimit"], {"limit": 100, "remaining": 0, "resets": "2027-01-15T08:10:00Z"}
        )

    def test_states(self) -> None:
        """An upstream is as well as its best URL."""
        for urls, state in (
            ([UNASKED], "unasked"),
            ([DOWN, url_health()], "ok"),
            ([DOWN, SLOW], "slow"),
            ([SLOW, UNASKED], "slow"),
            ([DOWN, UNASKED], "unasked"),
            ([DOWN, LIMITED], "limited"),
            ([DOWN, DOWN], "down"),
        ):
            self.assertEqual(state_of(health("a.test", *urls)), state)

    def test_since(self) -> None:
        """An upstream fails since its last URL does."""
        later = url_health(breaker="open", failing_since=1_800_000_005.0)
        self.assertEqual(failing_since(health("a", DOWN, later)), 1_800_000_005.0)
        self.assertIsNone(failing_since(health("a", DOWN, url_health())))


class SightTests(UpstreamCase):
    """Who sees which."""

    rules = (
        Rule(frozenset({"alice"}), Grant(PULL, frozenset({"a.test"}))),
        Rule(frozenset({"alice"}), Grant(PULL, frozenset({"b.test"}), ("team/*",))),
    )

    def test_sums(self) -> None:
        """Sums of an upstream are told to who may pull all of it."""
        self.health, self.stored = [health("a.test"), health("b.test")], UpstreamSums("", 500)
        whole, part = self.items(ALICE)
        self.assertEqual((whole["stored_bytes"], part["stored_bytes"]), (500, None))
        self.assertIsNone(part["repositories"])

    def test_sight(self) -> None:
        """An account sees the upstreams of which it may pull something, without the login."""
        mine = UpstreamHealth("a.test", "robot", True, [url_health()])
        self.health = [mine, health("c.test")]
        (item,) = self.items(ALICE)
        self.assertEqual((item["name"], item["account"]), ("a.test", None))
        self.assertEqual([each["account"] for each in self.items(ROOT)], ["robot", None])
