"""The daemon as a process: its output, its signals, how it refuses to start and how it fails."""

import signal
import sys
from contextlib import suppress
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
from regcache.seam.exit_status import exit_in_failure
from regcache.service import build_daemon
from regcache.store.lock import StoreLockedError
from regcache.tls_context import CertificateError
from regcache.upstreams import UpstreamSetupError
from regcache.web.listeners import ListenError

_log = Logger()


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

    def failed(message: str) -> None:
        print(message, file=errors, flush=True)
        exit_in_failure()
        _stop(reactor)

    try:
        daemon = build_daemon(config, reactor, writer, failed)
    except (StoreLockedError, CertificateError, UpstreamSetupError, AccessSetupError) as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        why = f"{error.filename or ''}: {error.strerror}"
        raise SystemExit(f"storage.directory: {why}") from None
    keep_freed_memory()
    raise_limit()
    _expect_signals(reactor)
    reactor.callWhenRunning(spare_what_is_there)
    # Requests that are cut at the very end have their line, too.
    reactor.addSystemEventTrigger("after", "shutdown", writer.flush)
    return _Root(daemon, LineObserver(writer), errors)


def _expect_signals(reactor: Any) -> None:
    """Stop in order with the exit status 0; twistd would end by the signal itself."""

    def stop_early(number: int, _frame: object) -> None:
        # Threads may run already, so there is something to put in order.
        reactor.callWhenRunning(_stop, reactor)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop_early)
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(_say_no_reload))
    reactor.callWhenRunning(_handle_signals, reactor)


def _handle_signals(reactor: Any) -> None:
    """The reactor runs, and has put handlers of its own in place."""

    def stop(number: int, _frame: object) -> None:
        reactor.callFromThread(_stop, reactor)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _stop(reactor: Any) -> None:
    """Stop, unless that is under way already: signals may come twice."""
    with suppress(ReactorNotRunning):
        reactor.stop()


def _say_no_reload() -> None:
    _log.warn("SIGHUP: the configuration is read at start only; restart to apply it")
