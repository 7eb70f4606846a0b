"""Puts another configuration in the place of the one in force: a part of the composition root.

========  =================================  ====================================================
state     event                              what follows
========  =================================  ====================================================
waiting   a reload is asked for, or another  checking, in a thread
          file is in the place of the file
checking  a reload is asked for              one more check follows: the file may have changed
                                             since it was read; those who asked wait for that one
checking  it is wrong                        the one in force stays whole, and each error is
                                             logged; waiting
checking  it is right                        all of it is in force; waiting
any       the daemon stops                   closed: reloads that wait are refused, and new ones
========  =================================  ====================================================

In the reactor's thread only the opening of new listeners can fail, and that comes first.
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from regcache.file_events import NO_FILE_EVENTS, IFileEvents
from regcache.interfaces import IWorkPool
from regcache.light_dataclass import dataclass
from regcache.looks import Looks
from regcache.replaced_file import Identity, ReplacedFile

INTERVAL = 0.5
"""Seconds between two looks whether the file was replaced. It is read at the second look that
finds the same: some programs write a new file at its place."""


class WrongConfigurationError(Exception):
    """The configuration cannot be used.

    :ivar lines: every error, as check-config has it.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)


class ReloadRefusedError(Exception):
    """No configuration is read now; the text is one line."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload came to.

    :ivar changed: the keys that changed.
    :ivar restart: the keys whose new values take a restart: the old ones stay in force.
    :ivar warnings: as check-config has them.
    """

    changed: Sequence[str]
    restart: Sequence[str] = ()
    warnings: Sequence[str] = ()


class IReloadSteps(Protocol):
    """Checks a configuration, and puts it in force."""

    def check(self) -> Any:
        """Read and build it, in a thread. Gives what :meth:`apply` takes.

        :raises WrongConfigurationError: if it cannot be used.
        """

    def apply(self, candidate: Any) -> Coroutine[Any, Any, Reloaded]:
        """Put it in force, all of it.

        :raises WrongConfigurationError: if that cannot be; nothing has changed then.
        """

    @property
    def closing(self) -> bool:
        """Whether the daemon is stopping."""


class Reloader(Service):
    """Reloads, one after the other.

    :param file: the configuration file.
    :param events: tell when a look is worth while before the next one is due.
    :param began_with: the file that is in force as the daemon starts; None where there is none.
    :param asked: called when a reload is asked for.
    :param done: called when none is under way or waits any more.
    :ivar last_error: when a configuration was kept out (Unix seconds), and why; None where the last
        one that was read is in force.
    :ivar loaded: when the one in force was read.
    """

    _log = Logger()

    def __init__(
        self,
        steps: IReloadSteps,
        file: ReplacedFile,
        began_with: Identity,
        *,
        pool: IWorkPool,
        clock: IReactorTime,
        asked: Callable[[], None] = lambda: None,
        done: Callable[[], None] = lambda: None,
        events: IFileEvents = NO_FILE_EVENTS,
    ) -> None:
        self._tell_asked, self._tell_done = asked, done
        self._steps = steps
        self._file = file
        self._began_with = began_with
        self._pool = pool
        self._clock = clock
        self._waiting: list[Deferred[Reloaded]] = []
        self._busy = False
        self._looks = Looks(
            self._look, INTERVAL, clock=clock, what="looking at the configuration file"
        )
        self._events = events
        self._unsubscribe: Callable[[], None] = lambda: None
        self.last_error: tuple[float, Sequence[str]] | None = None
        self.loaded = clock.seconds()

    def ask(self) -> "Deferred[Reloaded]":
        """Reload. Fires when the file, as it is now or a later version, is in force.

        Fails with WrongConfigurationError or ReloadRefusedError. What it comes to is logged.
        """
        asked: Deferred[Reloaded] = Deferred()
        self._waiting.append(asked)
        self._tell_asked()
        self._begin()
        return asked

    def ask_and_forget(self) -> None:
        """Reload; only the log says what it comes to."""
        self.ask().addErrback(lambda failure: failure.trap(*_EXPECTED))

    def startService(self) -> None:
        """Reload what was asked for meanwhile, and look at the file from now on."""
        super().startService()
        self._pool.run(self._file.hold).addCallback(self._held).addErrback(self._not_watched)

    def stopService(self) -> None:
        """Reload no more."""
        super().stopService()
        self._unsubscribe()
        self._looks.stop()
        self._file.close()
        self._refuse()

    def _held(self, found: Identity) -> None:
        if not self.running:
            self._file.close()
            return
        if self._began_with is not None and found not in (None, self._began_with):
            self.ask_and_forget()
        self._looks.start()
        self._unsubscribe = self._events.subscribe([self._file.path], self._looks.soon)
        self._begin()

    def _not_watched(self, failure: Failure) -> None:
        self._log.failure("the configuration file is no longer watched", failure)

    async def _look(self) -> None:
        if self._busy or not self.running or self._steps.closing:
            return
        if await self._pool.run(self._file.is_replaced) and self.running:
            self._log.info("another configuration file is there")
            self.ask_and_forget()

    def _begin(self) -> None:
        if self._steps.closing:
            self._refuse()
        if self._busy or not self._waiting or not self.running:
            return
        self._busy = True
        waiting, self._waiting = self._waiting, []
        reloading = Deferred.fromCoroutine(self._reload())
        reloading.addErrback(self._kept_out)
        reloading.addBoth(self._ended, waiting)

    def _refuse(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._log.warn("the daemon is stopping, so the configuration is not read again")
            each.errback(ReloadRefusedError("the daemon is stopping"))

    async def _reload(self) -> Reloaded:
        candidate = await self._pool.run(self._check)
        if not self.running or self._steps.closing:
            raise ReloadRefusedError("the daemon is stopping")
        done = await self._steps.apply(candidate)
        self.loaded, self.last_error = self._clock.seconds(), None
        self._tell(done)
        return done

    def _check(self) -> Any:
        self._file.hold()
        return self._steps.check()

    def _tell(self, done: Reloaded) -> None:
        for line in done.warnings:
            self._log.warn("{line}", line=line)
        for key in done.restart:
            self._log.warn("{key}: takes a restart; until then the old value stays", key=key)
        if done.changed:
            changed = ", ".join(done.changed)
            self._log.info("the configuration was reloaded; changed: {changed}", changed=changed)
        else:
            self._log.info("the configuration was reloaded; nothing has changed")

    def _kept_out(self, failure: Failure) -> Failure:
        if failure.check(ReloadRefusedError):
            return failure
        error = failure.value
        if not isinstance(error, WrongConfigurationError):
            self._log.failure("a configuration cannot be taken", failure)
            error = WrongConfigurationError(["a fault of the program; the log says more"])
            failure = Failure(error)
        self.last_error = (self._clock.seconds(), error.lines)
        for line in error.lines:
            self._log.error("{line}", line=line)
        self._log.error("the configuration is wrong and not taken; the one before stays in force")
        return failure

    def _ended(self, result: Any, waiting: "Sequence[Deferred[Reloaded]]") -> None:
        self._busy = False
        for each in waiting:
            # A Failure for each: who handles one may strip its traceback.
            each.errback(result.value) if isinstance(result, Failure) else each.callback(result)
        self._begin()
        if not self._busy:
            self._tell_done()


_EXPECTED: tuple[type[Exception], ...] = (WrongConfigurationError, ReloadRefusedError)
Ask = Callable[[], "Deferred[Reloaded]"]
