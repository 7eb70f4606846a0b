"""``twistd regcache``: options, and the service they stand for."""

import atexit
import os
import signal
import sys
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet import reactor as _reactor
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from regcache.config.loading import Loaded, load
from regcache.config.problems import ConfigError
from regcache.lifecycle import Daemon
from regcache.logs import LineObserver, LineWriter
from regcache.service import build_daemon
from regcache.store.lock import StoreLockedError
from regcache.tls import CertificateError
from regcache.upstreams import UpstreamSetupError
from regcache.web.listeners import ListenError

_log = Logger()


class Options(usage.Options):
    """The command line."""

    optParameters = [
        ["config", "c", "/etc/regcache.yml", "The configuration file."],
    ]

    loaded: Loaded

    def postOptions(self) -> None:
        """Load the configuration before anything else happens."""
        try:
            self.loaded = load(self["config"], os.environ)
        except ConfigError as error:
            _refuse(*error.lines)


def _refuse(*lines: str) -> None:
    """End with lines on standard error and the exit status 1."""
    for line in lines:
        print(line, file=sys.stderr)
    raise SystemExit(1)


class _Root(MultiService):
    """Carries the log observer, and turns a refusal to listen into one line."""

    def __init__(self, daemon: Daemon, observer: LineObserver) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._observer = observer
        daemon.setServiceParent(self)  # type: ignore[no-untyped-call]

    def setServiceParent(self, parent: Any) -> None:
        """Twistd looks for the observer on its application after the service was made."""
        parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Bind the listeners."""
        try:
            super().privilegedStartService()  # type: ignore[no-untyped-call]
        except ListenError as error:
            _refuse(str(error))


def makeService(options: Options) -> IService:
    """Build the daemon that a configuration describes."""
    reactor: Any = _reactor
    config = options.loaded.config
    writer = LineWriter(sys.stdout, config.log.format)
    for line in options.loaded.warnings:
        print(line, file=sys.stderr)

    def failed(message: str) -> None:
        print(message, file=sys.stderr)
        # twistd ends with 0 after any orderly stop; only this tells the service manager.
        atexit.register(os._exit, 1)
        reactor.stop()

    try:
        daemon = build_daemon(config, reactor, writer, failed)
    except (StoreLockedError, CertificateError, UpstreamSetupError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"storage.directory: {error.filename or ''}: {error.strerror}")
    reactor.callWhenRunning(_handle_signals, reactor)
    return _Root(daemon, LineObserver(writer))


def _handle_signals(reactor: Any) -> None:
    """Stop in order with the exit status 0; twistd would end by the signal itself."""

    def stop(number: int, _frame: object) -> None:
        reactor.callFromThread(_stop, reactor)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(_say_no_reload))


def _stop(reactor: Any) -> None:
    if reactor.running:
        reactor.stop()


def _say_no_reload() -> None:
    _log.warn("SIGHUP: the configuration is read at start only; restart to apply it")
