"""What decides about a cached tag: the pure function, and the tables of the documentation."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.cache import status
from regcache.cache.freshness import Answer, Copy, Overdue, TagDecision, decide, is_fresh
from regcache.cache.policy import Policy
from regcache.digests import Digest
from regcache.errors import (
    UpstreamBadAnswer,
    UpstreamDenied,
    UpstreamFailure,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamResting,
    UpstreamServerError,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from tests.cache.operations_rows import (
    AT_ONCE,
    CONNECT,
    DEADLINE,
    FAILURE_HEADER,
    FAILURES,
    FIRST_BYTE,
    HEADER,
    NEGATIVE,
    NONE,
    NOTHING,
    NOW,
    PROBE,
    RETRY,
    ROWS,
    STALL,
    TTL,
)
from tests.cache.scenes import SCENES, WITH_CREDENTIALS
from tests.cache.stage import (
    ACCOUNT,
    NEGATIVE_TTL,
    RETRY_AFTER,
    STALE_IF_ERROR,
    TAG_TTL,
    Stage,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
SAME, OTHER = Digest.of(b"same"), Digest.of(b"other")
WAITS = {TTL: TAG_TTL, NOW: 0, NEGATIVE: NEGATIVE_TTL, RETRY: RETRY_AFTER, PROBE: 5}
LIMITS = {AT_ONCE: 0.05, DEADLINE: 2.5, CONNECT: 10.5, FIRST_BYTE: 20.5, STALL: 30.5}


def known(failure: UpstreamFailure) -> UpstreamFailure:
    """The same, remembered."""
    failure.asked = False
    return failure


GOOD = "up.test", "it gives no access"
CLOSED = UpstreamDenied(*GOOD, status=403, credentials_used=True)
CLOSED.closes = True
ALONE = UpstreamDenied(*GOOD, status=403, credentials_used=True)
ANONYMOUS = UpstreamDenied(*GOOD, status=401)
MISSING = UpstreamNotFound("up.test", "gone", status=404)
ILL: list[UpstreamFailure] = [
    UpstreamServerError("up.test", "it answered 503", status=503),
    UpstreamTimedOut("up.test", "late"),
    UpstreamUnreachable("up.test", "refused"),
    UpstreamRateLimited("up.test", "too many", retry_after=5),
    UpstreamBadAnswer("up.test", "nonsense"),
]
UNASKED: list[UpstreamFailure] = [
    UpstreamResting("up.test", "resting", retry_after=5),
    UpstreamRateLimited("up.test", "still runs", retry_after=5, asked=False),
]

#: Answer, on_missing: stale; decision for a young copy and for one too old to be stale.
DECISIONS: list[tuple[Answer, bool, TagDecision, TagDecision]] = [
    (None, False, TagDecision.ASK, TagDecision.ASK_AND_WAIT),
    (SAME, False, TagDecision.REVALIDATED, TagDecision.REVALIDATED),
    (OTHER, False, TagDecision.MOVED, TagDecision.MOVED),
    (Overdue.OVERDUE, False, TagDecision.STALE_OVERDUE, TagDecision.ASK_AND_WAIT),
    *[
        (each, keep, TagDecision.STALE_FAILED, TagDecision.FAILED)
        for each in ILL
        for keep in (0, 1)
    ],
    *[
        (each, keep, TagDecision.STALE_UNASKED, TagDecision.FAILED)
        for each in UNASKED
        for keep in (0, 1)
    ],
    (MISSING, False, TagDecision.GONE, TagDecision.GONE),
    (MISSING, True, TagDecision.STALE_FAILED, TagDecision.FAILED),
    (
        known(UpstreamNotFound("up.test", "gone")),
        True,
        TagDecision.STALE_UNASKED,
        TagDecision.FAILED,
    ),
    (ANONYMOUS, False, TagDecision.GONE, TagDecision.GONE),
    (ANONYMOUS, True, TagDecision.STALE_FAILED, TagDecision.FAILED),
    (ALONE, False, TagDecision.GONE, TagDecision.GONE),
    (ALONE, True, TagDecision.STALE_FAILED, TagDecision.FAILED),
    (CLOSED, False, TagDecision.CLOSED, TagDecision.CLOSED),
    (CLOSED, True, TagDecision.CLOSED, TagDecision.CLOSED),
]


class DecisionTests(SynchronousTestCase):
    """The pure function."""

    def test_fresh(self) -> None:
        """A fresh copy is a hit, in every other state."""
        copy = Copy(SAME, 99.9, 100.0)
        for answer, keep, _, _ in DECISIONS:
            policy = Policy(keep_missing=bool(keep), stale_if_error=0.0)
            self.assertIs(decide(copy, policy, answer), TagDecision.HIT)

    def test_not_fresh(self) -> None:
        """Every answer has its decision, for a copy that may be stale and for one that is not."""
        for answer, keep, young, old in DECISIONS:
            policy = Policy(keep_missing=bool(keep), stale_if_error=1000.0)
            for age, expected in ((100.0, young), (1000.0, young), (1000.1, old)):
                found = decide(Copy(SAME, age, 100.0), policy, answer)
                self.assertIs(found, expected, (answer, keep, age))

    def test_any_age(self) -> None:
        """Without stale_if_error no copy is too old."""
        copy = Copy(SAME, 1e9, 100.0)
        for answer, keep, young, _ in DECISIONS:
            self.assertIs(decide(copy, Policy(keep_missing=bool(keep)), answer), young)

    def test_clock_set_back(self) -> None:
        """A copy from the future is asked about, and may be served while nobody answers."""
        copy = Copy(SAME, -5.0, 100.0)
        self.assertFalse(is_fresh(-5.0, 100.0))
        self.assertIs(decide(copy, Policy()), TagDecision.ASK)
        self.assertIs(decide(copy, Policy(), ILL[0]), TagDecision.STALE_FAILED)
        self.assertEqual([status.hit(-5).age, status.stale_failed(-5, ILL[0]).age], [0, 0])

    def test_statuses(self) -> None:
        """Cache-Status and Age say what happened."""
        rows = (
            (status.stale_unasked(390.6, 300.0), "hit; ttl=-90; detail=stale", 390),
            (status.stale_deadline(390.6), "fwd=stale; detail=deadline", 390),
            (status.stale_failed(1.0, ILL[0]), "fwd=stale; fwd-status=503", 1),
            (status.stale_failed(1.0, ILL[1]), "fwd=stale; detail=timeout", 1),
            (status.stale_failed(1.0, ILL[2]), "fwd=stale; detail=unreachable", 1),
            (status.stale_failed(1.0, ILL[3]), "fwd=stale; fwd-status=429", 1),
            (status.stale_failed(1.0, ILL[4]), "fwd=stale; detail=invalid", 1),
        )
        for found, text, age in rows:
            self.assertEqual(
                (found.text, found.age, found.outcome), (f"regcache; {text}", age, "stale")
            )


class StageCase(SynchronousTestCase):
    """Plays scenes."""

    def stage(self, situation: str, age: float | None) -> Stage:
        """A stage on which the tag was cached so long ago, or never."""
        stage = Stage(self.mktemp())
        self.addCleanup(stage.stop)
        if situation in WITH_CREDENTIALS:
            stage.account = ACCOUNT
        if "on_missing: stale" in situation:
            stage.build(keep_missing=True)
        if situation == "times out before `deadline`":
            stage.build(deadline=60.0)
        if age is not None:
            self.assertEqual(stage.ask(), "fwd=uri-miss; stored")
            stage.pass_time(age)
        SCENES[situation](stage)
        stage.methods()
        return stage


class FreshnessTableTests(StageCase):
    """The table "Freshness of tags" of docs/operations.md, cell by cell."""

    def play(self, column: int) -> None:
        """Play all rows of a column."""
        for row in ROWS:
            answer, following = row.cells[column]
            if answer == NOTHING:
                continue
            age = (TAG_TTL + 90.0, STALE_IF_ERROR + 1.0, None)[column]
            if answer == "hit":
                age = 0.0
            stage = self.stage(row.situation, age)
            self.assertEqual(stage.ask(), answer, row)
            stage.methods()
            self.next_request(stage, following, row.situation)

    def next_request(self, stage: Stage, following: str, situation: str) -> None:
        """When the upstream is asked again, and what."""
        if following == NONE:
            stage.ask()
            self.assertEqual(stage.methods(), [], situation)
            return
        method, _, when = following.partition(" ")
        # What it would say now plays no part in when it is asked.
        stage.serve(stage.good)
        wait = WAITS[when]
        if wait:
            stage.pass_time(wait - 1.0)
            stage.ask()
            self.assertEqual(stage.methods(), [], situation)
            stage.pass_time(1.0)
        stage.ask()
        self.assertEqual(stage.methods()[:1], [method], situation)

    def test_young(self) -> None:
        """What is served of a copy that is young enough to be stale."""
        self.play(0)

    def test_old(self) -> None:
        """What is served of a copy that is too old for stale_if_error."""
        self.play(1)

    def test_cold(self) -> None:
        """What is answered where nothing is cached."""
        self.play(2)


class FailureTableTests(StageCase):
    """The table "When an upstream fails" of docs/operations.md, cell by cell."""

    def play(self, age: float | None) -> None:
        """Play all rows for a cached tag, or for one that is not."""
        for row in FAILURES:
            answer, time = row.cold if age is None else row.cached
            stage = self.stage(row.situation, age)
            self.assertEqual((stage.ask(), row.situation), (answer, row.situation))
            self.assertLessEqual(stage.elapsed, LIMITS[time], row.situation)

    def test_cached(self) -> None:
        """What a client gets for a cached tag, and within what time."""
        self.play(TAG_TTL + 90.0)

    def test_cold(self) -> None:
        """What a client gets for a tag that is not cached, and within what time."""
        self.play(None)

    def test_breaker_opens_by_missed_deadlines(self) -> None:
        """Three revalidations that miss the deadline open the breaker; waiters do not count."""
        stage = self.stage("names the same digest", None)
        for tag in "abcd":
            stage.contents[tag] = stage.contents["latest"]
            stage.ask(tag)
        stage.pass_time(TAG_TTL)
        SCENES["does not answer within `deadline`"](stage)
        for tag in "abc":
            waiting = [stage.begin(tag) for _ in range(5)]
            self.assertEqual(stage.ask(tag), "fwd=stale; detail=deadline")
            for each in waiting:
                self.successResultOf(each)
        stage.methods()
        self.assertEqual(stage.ask("d"), "hit; ttl=-6; detail=stale")
        self.assertEqual((stage.elapsed, stage.methods()), (0.0, []))


class DocumentTests(SynchronousTestCase):
    """The documentation shows what the tests play."""

    def rows_below(self, header: str) -> list[str]:
        """The rows of a table."""
        lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
        first = lines.index(header) + 1
        self.assertTrue(re.fullmatch(r"[|-]+", lines[first]))
        end = next(n for n, line in enumerate(lines) if n > first and not line.startswith("|"))
        return lines[first + 1 : end]

    def test_freshness(self) -> None:
        """The table of freshness is the one that is played, row by row."""
        self.assertEqual(self.rows_below(HEADER), [row.markdown() for row in ROWS])

    def test_failures(self) -> None:
        """The table of failures is the one that is played, row by row."""
        self.assertEqual(self.rows_below(FAILURE_HEADER), [row.markdown() for row in FAILURES])
