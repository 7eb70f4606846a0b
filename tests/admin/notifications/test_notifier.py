"""Messages to an address that takes them, or not."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEventAsClassicLogText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.notifications.conditions import Condition, Occurrence
from regcache.admin.notifications.notifier import (
    INTERVAL,
    MOST_WAITING,
    PAUSES,
    Notifier,
    NotifySettings,
    NotTakenError,
)
from regcache.admin.notifications.webhook import Webhook

URL = "https://hooks.test/T0KEN"
ALL = ("disk", "credentials", "certificate", "upstream_down", "corruption", "quota")
REFUSED = Condition("credentials", "docker.io", "it refuses ours")
BUSY = NotTakenError("it answered 503", again=True)


class NotifierTests(SynchronousTestCase):
    """Every row of its table."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.settings = NotifySettings(URL, ALL)
        self.present: list[Condition] = []
        self.damages: list[Occurrence] = []
        self.posts: list[tuple[str, Mapping[str, Any], Deferred[None]]] = []
        self.results: list[str] = []
        self.taken = False
        self.cancelled: Callable[[Deferred[None]], None] | None = None
        self.late: Deferred[None] | None = None
        self.lines: list[LogEvent] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)
        self.notifier = Notifier(
            lambda: self.settings,
            lambda: self.present,
            lambda: self.damages,
            post=self.post,
            clock=self.clock,
            told=self.results.append,
        )
        self.notifier.startService()
        self.addCleanup(self.stop)

    def note(self, event: LogEvent) -> None:
        """Keep what it logs."""
        if str(event.get("log_namespace")).startswith("regcache.admin.notifications"):
            self.lines.append(event)

    def stop(self) -> None:
        """It may be stopped already."""
        if self.notifier.running:
            self.notifier.stopService()

    def post(self, url: str, content: Mapping[str, Any]) -> "Deferred[None]":
        """One try, whose end the test says."""
        done: Deferred[None] = Deferred(self.cancelled)
        self.posts.append((url, content, done))
        if self.taken:
            done.callback(None)
        return done if self.late is None else Deferred.fromCoroutine(self.linger(done, self.late))

    async def linger(self, done: "Deferred[None]", late: "Deferred[None]") -> None:
        """A failure is told late."""
        try:
            await done
        except NotTakenError:
            await late
            raise

    def look(self) -> None:
        """Have it look once."""
        self.clock.advance(INTERVAL)

    def answer(self, error: NotTakenError | None = None) -> None:
        """How the last try ends."""
        done = self.posts[-1][2]
        done.callback(None) if error is None else done.errback(error)

    def begin(self, *conditions: Condition) -> None:
        """These hold."""
        self.present = list(conditions)
        self.look()

    def test_taken(self) -> None:
        """A message says what and when; the next one comes when it was taken."""
        self.begin(REFUSED, REFUSED._replace(subject="ghcr.io"))
        self.assertEqual(len(self.posts), 1)
        url, content, _ = self.posts[0]
        self.assertEqual(url, URL)
        self.assertEqual(
            {key: content[key] for key in ("source", "event", "state", "subject", "time")},
            {
                "source": "regcache",
                "event": "credentials",
                "state": "begun",
                "subject": "docker.io",
                "time": "1970-01-01T00:16:45Z",
            },
        )
        self.assertEqual(content["text"], "regcache: credentials docker.io begun: it refuses ours")
        self.answer()
        self.assertEqual(self.posts[1][1]["subject"], "ghcr.io")
        self.answer()
        self.assertEqual(self.results, ["sent", "sent"])
        self.begin()
        self.assertEqual(self.posts[-1][1]["state"], "over")

    def test_chosen(self) -> None:
        """Only what was chosen is told."""
        self.settings = NotifySettings(URL, ["corruption"])
        self.damages = [Occurrence("corruption", "disk", "{count} contents", 3)]
        self.begin(REFUSED)
        self.assertEqual([post[1]["event"] for post in self.posts], ["corruption"])

    def test_tried_again(self) -> None:
        """An address that is ill is tried again after each pause, and then given up."""
        self.begin(REFUSED)
        for number, pause in enumerate(PAUSES, 1):
            self.answer(BUSY)
            self.clock.advance(pause - 0.1)
            self.assertEqual(len(self.posts), number)
            self.clock.advance(0.2)
            self.assertEqual(len(self.posts), number + 1)
        self.answer(BUSY)
        self.assertEqual(self.results, ["failed"])
        (line,) = self.lines
        self.assertEqual(line["why"], "it answered 503")
        self.assertNotIn("T0KEN", str(line))

    def test_given_up(self) -> None:
        """What no further try would help is given up at once, with few lines in the log."""
        self.begin(*(REFUSED._replace(subject=f"u{n}") for n in range(5)))
        for _ in range(5):
            self.answer(NotTakenError("it answered 404", again=False))
        self.assertEqual((len(self.posts), self.results), (5, 5 * ["failed"]))
        self.assertEqual(len(self.lines), 1)

    def test_bounded(self) -> None:
        """While the address hangs a crowd of messages is bounded: the oldest are dropped."""
        crowd = [REFUSED._replace(subject=f"u{n}") for n in range(MOST_WAITING + 21)]
        self.begin(*crowd)
        self.assertEqual(len(self.posts), 1)
        self.assertEqual(self.results, 20 * ["dropped"])
        self.answer()
        self.assertEqual(self.posts[-1][1]["subject"], "u21")

    def test_other_address(self) -> None:
        """Another address gets at once what the former one did not take."""
        self.begin(REFUSED)
        self.answer(BUSY)
        self.settings = NotifySettings("https://other.test/", ALL)
        self.look()
        self.assertEqual([post[0] for post in self.posts], [URL, "https://other.test/"])

    def test_no_address(self) -> None:
        """Without an address nothing is told, and what waits is forgotten; then all is news."""
        self.begin(REFUSED, REFUSED._replace(subject="ghcr.io"))
        self.settings = NotifySettings(None, ALL)
        self.look()
        self.assertTrue(self.posts[0][2].called)
        self.assertEqual(len(self.posts), 1)
        self.settings = NotifySettings(URL, ALL)
        self.look()
        self.assertEqual(self.posts[-1][1]["subject"], "docker.io")
        self.assertEqual(self.lines, [])

    def test_stopped(self) -> None:
        """A stop waits for nothing, whether it is being sent or tried again."""
        self.begin(REFUSED)
        self.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.notifier.startService()
        self.begin(REFUSED, REFUSED._replace(subject="ghcr.io"))
        self.answer(BUSY)
        self.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.lines, [])

    def test_cancel_that_fails(self) -> None:
        """A post that takes a cancel for a broken connection is not made again, however it ends."""
        for fault in (NotTakenError("broken", again=True), KeyError(URL)):
            self.cancelled = lambda done, fault=fault: done.errback(fault)
            before = len(self.posts)
            self.notifier.startService()
            self.begin(REFUSED)
            self.stop()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual(len(self.posts), before + 1)
            self.present = []
            self.notifier.startService()
            self.look()
            self.answer()
            self.stop()
            self.results.clear()
        self.assertEqual(self.lines, [])

    def test_address_is_back(self) -> None:
        """What was being sent as the address was removed is not sent to the next one."""
        for late in (None, Deferred()):
            self.cancelled, self.late = (lambda done: done.errback(BUSY)), late
            self.posts.clear()
            self.begin(REFUSED)
            self.settings = NotifySettings(None, ALL)
            self.look()
            self.settings = NotifySettings(URL, ALL)
            self.begin(REFUSED._replace(subject="new"))
            if late is not None:
                late.callback(None)
            self.clock.pump([PAUSES[0]] * 3)
            subjects = [post[1]["subject"] for post in self.posts]
            self.assertEqual(subjects, ["docker.io", "new"])
            self.late = None
            self.answer()
            self.begin()
            self.answer()
            self.assertEqual(self.results, ["sent", "sent"])
            self.results.clear()

    def test_at_once(self) -> None:
        """An address that takes a message before the call returns gets the later ones, too."""
        for number in range(3):
            self.taken = True
            self.begin(REFUSED._replace(subject=f"u{number}"))
        self.assertEqual(self.results, 5 * ["sent"])  # three begin, two are over

    def test_fault(self) -> None:
        """A fault of the program costs one message, and is logged."""
        self.begin(REFUSED, REFUSED._replace(subject="ghcr.io"))
        self.posts[0][2].errback(KeyError(URL))
        self.answer()
        self.assertEqual(self.results, ["failed", "sent"])
        (line,) = self.lines
        self.assertEqual(line["kind"], "KeyError")
        self.assertNotIn("T0KEN", str(line))

    def test_cannot_be_posted(self) -> None:
        """What a library says of a URL that it cannot use is not logged: it has the token."""
        url = "http://[T0KEN/"
        self.settings = NotifySettings(url, ALL)
        self.begin(REFUSED)
        posting = Deferred.fromCoroutine(Webhook(self.clock).post(url, {}))
        failure = self.failureResultOf(posting)
        self.assertIn("T0KEN", str(failure.value))
        self.posts[0][2].errback(failure)
        (line,) = self.lines
        self.assertEqual(line["kind"], failure.type.__name__)
        self.assertNotIn("T0KEN", str(line) + formatEventAsClassicLogText(line))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_secret(self) -> None:
        """The address is in no repr."""
        self.assertNotIn("T0KEN", repr(self.settings))
