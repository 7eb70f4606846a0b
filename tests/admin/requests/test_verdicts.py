"""The table of verdicts, row by row."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache import causes
from regcache.admin.requests.verdicts import is_failed, is_slow, verdict_of
from regcache.errors import WRONG_BYTES
from regcache.web.records import LEFT
from tests.admin.requests.rows import row

DENIED = {"outcome": "denied", "status": 403}
ERROR = {"outcome": "error", "status": 502}


class VerdictTests(SynchronousTestCase):
    """The first row that fits."""

    def test_rows(self) -> None:
        """Each row of the table has its code and its parameters."""
        until = {"until": "2027-01-15T08:01:00Z"}
        cases: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
            (DENIED | {"cause": causes.PRIVATE}, "denied.private", {}),
            (DENIED | {"cause": causes.REFUSED}, "denied.upstream", {}),
            (DENIED | {"cause": causes.forbidden("x.deny")}, "denied.rule", {"key": "x.deny"}),
            (
                {"outcome": "error", "status": 404, "cause": causes.forbidden("x.deny")},
                "denied.rule",
                {"key": "x.deny"},
            ),
            (DENIED | {"status": 401, "shows_login": False}, "denied.login", {}),
            (DENIED | {"status": 401}, "denied.credentials", {}),
            (DENIED, "denied.other", {}),
            (ERROR | {"status": 404, "cause": causes.NOT_FOUND}, "failed.not_found", {}),
            (ERROR | {"cause": causes.DOWN}, "failed.down", {}),
            (ERROR | {"status": 429, "cause": causes.limited(60)}, "failed.limited", until),
            (ERROR | {"cause": causes.DIGEST}, "failed.digest", {}),
            (ERROR | {"status": 400}, "failed.other", {"status": 400}),
            ({"ended_early": f"docker.io: {WRONG_BYTES}"}, "failed.digest", {}),
            ({"ended_early": LEFT}, "ended.client", {"bytes": 1000}),
            ({"status": 499, "outcome": "error", "ended_early": LEFT}, "ended.client", None),
            ({"ended_early": "docker.io: stalled"}, "failed.broken", {}),
            ({"outcome": "stale", "cause": causes.STALE_DEADLINE}, "stale.deadline", {}),
            ({"outcome": "stale", "cause": causes.STALE_DOWN}, "stale.down", {}),
            ({"outcome": "stale", "cause": causes.STALE_LIMITED}, "stale.limited", {}),
            ({"outcome": "relay", "cause": causes.TOO_BIG}, "relay.too_big", {}),
            ({"outcome": "relay", "cause": causes.FULL}, "relay.full", {}),
            ({"outcome": "hit"}, "ok.hit", {}),
            ({"outcome": "revalidated"}, "ok.revalidated", {}),
            ({"outcome": "collapsed"}, "ok.joined", {}),
            ({"outcome": "miss"}, "ok.miss", {}),
        ]
        for changes, code, params in cases:
            verdict = verdict_of(row(seconds=0.0, **changes))
            self.assertEqual(verdict.code, code, changes)
            if params is not None:
                self.assertEqual(verdict.params, params, changes)

    def test_precedence(self) -> None:
        """A client that left a stale answer left; one that was refused was refused."""
        stale = row(outcome="stale", cause=causes.STALE_DOWN, ended_early=LEFT)
        self.assertEqual(verdict_of(stale).code, "ended.client")
        refused = row(**DENIED, cause=causes.PRIVATE, ended_early=LEFT)
        self.assertEqual(verdict_of(refused).code, "denied.private")

    def test_slow(self) -> None:
        """Slow is a first byte after 2 s, or an end after 30 s."""
        self.assertFalse(is_slow(row(first_byte=1.999, seconds=29.9)))
        self.assertTrue(is_slow(row(first_byte=2.0, seconds=2.1)))
        self.assertTrue(is_slow(row(first_byte=0.1, seconds=30.0)))
        self.assertTrue(is_slow(row(first_byte=None, seconds=2.0)))

    def test_failed(self) -> None:
        """Failed is an error, a cut answer, or a refusal that is not the beginning of a login."""
        self.assertTrue(is_failed(row(**ERROR)))
        self.assertTrue(is_failed(row(**DENIED)))
        self.assertTrue(is_failed(row(outcome="denied", status=401)))
        self.assertTrue(is_failed(row(ended_early="docker.io: stalled")))
        self.assertFalse(is_failed(row(outcome="denied", status=401, shows_login=False)))
        self.assertFalse(is_failed(row(ended_early=LEFT)))
        self.assertFalse(is_failed(row(status=499, outcome="error", ended_early=LEFT)))
        self.assertFalse(is_failed(row(**ERROR, is_open=True)))
        self.assertFalse(is_failed(row()))
