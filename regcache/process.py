"""The daemon as a process: its output, its signals, and its exit status."""

import os
import signal
import sys
from typing import Any, TextIO

from twisted.application.service import IService, MultiService
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, Logger

from regcache.access_control import AccessSetupError
from regcache.collecting import spare_what_is_there
from regcache.config.loading import Loaded
from regcache.heap import keep_freed_memory
from regcache.lifecycle import Daemon
from regcache.logs import LineObserver, LineWriter
from regcache.open_files import raise_limit
from regcache.reloading import Reloader
from regcache.seam.exit_status import FAILED, ExitDeadline, exit_in_failure
from regcache.service import build_daemon
from regcache.service_manager import (
    first_environment,
    keep_from_children,
    read_environment,
    refuse_clients,
)
from regcache.store.lock import StoreLockedError
from regcache.store.paths import StorageUnusableError
from regcache.tls_context import CertificateError
from regcache.upstreams import UpstreamSetupError
from regcache.web.listener_spec import ListenError

_log = Logger()

#: What makes a start impossible, and says what to type.
_REFUSALS = (
    StorageUnusableError,
    StoreLockedError,
    CertificateError,
    UpstreamSetupError,
    AccessSetupError,
)

#: Seconds that a stop may take beyond ``limits.drain``, even if something hangs.
CLOSING = 9.0
#: Seconds that it may take from the second signal on.
HURRY = 1.0


class _Root(MultiService):
    """Carries the log observer, and turns a refusal to listen into one line."""

    def __init__(self, daemon: Daemon, observer: LineObserver, errors: TextIO) -> None:
        """
        :param errors: standard error; twistd puts something else in its place later.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._observer = observer
        self._errors = errors
        daemon.setServiceParent(self)  # type: ignore[no-untyped-call]

    def setServiceParent(self, parent: Any) -> None:
        """Twistd looks for the observer on its application after the service was made."""
        parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Bind the listeners.

        :raises ListenError: if one cannot be bound. Twistd removes its pid file then, and ends
            with the exit status 1; what there is to say has been said.
        """
        try:
            super().privilegedStartService()  # type: ignore[no-untyped-call]
        except ListenError as error:
            print(error, file=self._errors, flush=True)
            refuse_clients()
            sys.excepthook = lambda *_: None
            raise


def build_process(loaded: Loaded, reactor: Any) -> IService:
    """Build the daemon that a configuration describes, and what makes a process of it.

    :raises SystemExit: with a line for standard error, and the exit status 1, if it cannot be.
    """
    config = loaded.config
    writer, errors = LineWriter(sys.stdout, config.log.format), sys.stderr
    for line in loaded.warnings:
        print(f"warning: {line}", file=errors)

    stop = _Stop(reactor, errors)
    environment = read_environment(first_environment(), os.getpid())
    keep_from_children(os.environ, environment)
    try:
        daemon, reloader = build_daemon(loaded, reactor, writer, stop.fail, environment=environment)
    except _REFUSALS as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        # Anything unforeseen: a disk that fails while the directory is looked at.
        raise SystemExit(f"storage.directory: {config.storage.directory}: {error}") from None
    keep_freed_memory()
    raise_limit()
    stop.expect_signals(daemon, reloader)
    reactor.callWhenRunning(spare_what_is_there)
    # Requests that are cut at the very end have their line, too.
    reactor.addSystemEventTrigger("after", "shutdown", writer.flush)
    return _Root(daemon, LineObserver(writer), errors)


class _Stop:
    """Ends the process: in order, at once for a second signal, and in any case after a time.

    A stop in order has the exit status 0, which twistd would not give by itself. One that hangs
    in the kernel, with a disk that does not answer, is broken off with the status 1.

    :param errors: where that is said.
    """

    def __init__(self, reactor: Any, errors: TextIO) -> None:
        self._reactor = reactor
        self._most = CLOSING
        self._errors = errors
        self._deadline = ExitDeadline(self._last_words)
        self._daemon: Daemon | None = None
        self._failed = self._hurried = False

    def fail(self, message: str) -> None:
        """Say why, and stop in order, with the exit status 1."""
        print(message, file=self._errors, flush=True)
        refuse_clients()
        self._failed = True
        exit_in_failure()
        self._reactor.callWhenRunning(self.begin)

    def begin(self) -> None:
        """Stop in order; at once, where that is under way already. The reactor runs."""
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            if self._daemon is not None:
                _log.warn("told to stop a second time: ending at once")
                self._hurried = True
                self._deadline.set(HURRY)
                self._daemon.hurry()
        else:
            if self._daemon is not None:
                self._most = self._daemon.drain + CLOSING
            self._deadline.set(self._most)

    def _last_words(self) -> int:
        if self._hurried:
            return FAILED if self._failed else 0
        print(
            f"stopping took longer than {self._most:g} s, so it is broken off: a disk does not "
            "answer. What was not saved is fetched, and what was not synced verified, when it is "
            "next asked for.",
            file=self._errors,
        )
        return FAILED

    def expect_signals(self, daemon: Daemon, reloader: Reloader) -> None:
        """Stop for SIGTERM and SIGINT, reload for SIGHUP; SIGUSR1 and SIGUSR2 do nothing."""
        self._daemon = daemon

        def stop_early(number: int, _frame: object) -> None:
            # Threads may run already, so there is something to put in order.
            self._reactor.callWhenRunning(self.begin)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop_early)
        ask = reloader.ask_and_forget
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(ask))
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        self._reactor.callWhenRunning(self._handle_signals)

    def _handle_signals(self) -> None:
        """The reactor runs, and has put handlers of its own in place."""

        def stop(number: int, _frame: object) -> None:
            self._reactor.callFromThread(self.begin)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
