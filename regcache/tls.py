"""Server side TLS: several certificates, chosen by SNI, replaced while running.

The contexts are made here and not by an endpoint of Twisted's, since the one that knows SNI
is missing from the oldest supported release. HTTP/2 is offered by ALPN where that is wanted;
sessions are not resumed, so a replaced certificate is what every new connection sees.

Where certificates of clients are asked for, a connection carries the issuers that count for it, so
that who asks is known by the very handshake (:mod:`regcache.web.client_certificate`).
"""

# mypy: disable-error-code="no-untyped-call"
# (Twisted's services have no annotations)

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from OpenSSL import SSL
from twisted.application.service import Service
from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from regcache.access.client_issuers import ClientIssuers
from regcache.file_events import NO_FILE_EVENTS, IFileEvents
from regcache.host_rules import plain_host
from regcache.interfaces import IWorkPool
from regcache.looks import Looks
from regcache.renewals import PATIENCE, changed_lately
from regcache.tls_context import (
    HTTP1,
    HTTP2,
    CertificateError,
    CertificateFiles,
    KeyPair,
    make_context,
    read_key_pair,
)
from regcache.web.client_certificate import ServerTLS

CHECK_INTERVAL = 5.0
"""Seconds between looks at the files."""
Signature = tuple[tuple[int, int, int] | None, ...]


@implementer(IOpenSSLServerConnectionCreator)
class CertificateStore:
    """The certificates of one listener. The first is shown to who names no other.

    :param minimum: ``TLSv1.2`` or ``TLSv1.3``.
    :param http2: offer HTTP/2, and prefer it.
    :param never_asked: host names for which no client is asked for a certificate.
    :ivar loaded: the signature of the files that were read at first; None before.
    """

    def __init__(
        self,
        files: Sequence[CertificateFiles],
        minimum: str = "TLSv1.2",
        http2: bool = False,
        *,
        never_asked: Sequence[str] = (),
    ) -> None:
        self._files = tuple(files)
        self._never_asked = frozenset(never_asked)
        self._pairs: Sequence[KeyPair] = ()
        self._issuers: ClientIssuers | None = None
        self._minimum = minimum
        self._protocols = (HTTP2, HTTP1) if http2 else (HTTP1,)
        self._contexts: Mapping[str, SSL.Context] = {}
        self._default: SSL.Context | None = None
        self.loaded: Signature | None = None

    def load(self, in_use: Sequence[KeyPair] = ()) -> None:
        """Read all certificates, before anything listens. Blocks.

        :param in_use: those that another store has read: they go on while they are renewed.
        :raises CertificateError: for the first that cannot be used.
        """
        known = {pair.files: pair for pair in in_use}
        # Before the files are read, so that a change meanwhile is noticed.
        self.loaded = self.signature()
        self.replace([self._read_or_keep(files, known.get(files)) for files in self._files])

    def read(self) -> list[KeyPair]:
        """Read all files, and see whether OpenSSL takes what they hold. Blocks.

        :raises CertificateError: for the first that cannot be used.
        """
        return [self._read(files) for files in self._files]

    def _read(self, files: CertificateFiles) -> KeyPair:
        pair = read_key_pair(files)
        self._make_context(pair, None)
        return pair

    def _read_or_keep(self, files: CertificateFiles, known: KeyPair | None) -> KeyPair:
        """What is in two files; while they are renewed, what was in them before."""
        try:
            return self._read(files)
        except CertificateError:
            if known is None or not changed_lately((files.chain, files.key), time.time()):
                raise
            self.loaded = (None,) * len(self.paths)  # so that the first look reads them again
            return known

    @property
    def paths(self) -> list[str]:
        """The files, in the order of their signature."""
        return [path for files in self._files for path in (files.chain, files.key)]

    def signature(self) -> Signature:
        """What changes when a file does; None for a file that is missing. Blocks."""
        return tuple(map(_stat, self.paths))

    def replace(self, pairs: Sequence[KeyPair]) -> None:
        """Use these certificates for new connections."""
        self._pairs = pairs
        contexts: dict[str, SSL.Context] = {}
        made = [self._make_context(pair, self._issuers) for pair in pairs]
        for pair, context in zip(pairs, made, strict=True):
            for name in pair.names:
                contexts.setdefault(name, context)
        self._contexts = contexts
        self._default = made[0]

    @property
    def ends(self) -> dict[str, float]:
        """When the certificates in use end (Unix seconds), by their files."""
        return {
            pair.files.chain: pair.chain[0].not_valid_after_utc.timestamp() for pair in self._pairs
        }

    @property
    def pairs(self) -> Sequence[KeyPair]:
        """The certificates in use."""
        return self._pairs

    def trust(self, issuers: ClientIssuers) -> None:
        """Ask the clients of new connections for a certificate of one of these issuers."""
        self._issuers = issuers
        if self._pairs:
            self.replace(self._pairs)

    def _make_context(self, pair: KeyPair, issuers: ClientIssuers | None) -> SSL.Context:
        return make_context(
            pair,
            self._minimum,
            self._choose,
            self._protocols,
            issuers=None if issuers is None else issuers.certificates,
        )

    def covers(self, host: str) -> bool:
        """Whether a certificate is valid for a host name (RFC 6125, 6.4)."""
        return self._find(host) is not None

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """The TLS state of a new connection."""
        assert self._default is not None, "load() comes first"
        connection = ServerTLS(self._default, None)
        connection.issuers = self._issuers
        return connection

    def _choose(self, connection: Any) -> None:
        """Choose by the name that the client asks for.

        Another context brings its issuers along, but not whether there is a question.
        """
        name = (connection.get_servername() or b"").decode("ascii", "replace")
        context = self._find(name) if name else None
        if context is not None:
            connection.set_context(context)
            connection.issuers = self._issuers
        if plain_host(name) in self._never_asked:
            connection.set_verify(SSL.VERIFY_NONE)
            connection.issuers = None

    def _find(self, host: str) -> SSL.Context | None:
        """An exact name, else a wildcard that stands for exactly the first label."""
        host = plain_host(host)
        return self._contexts.get(host) or self._contexts.get("*." + host.partition(".")[2])


def _stat(path: str) -> tuple[int, int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


class CertificateWatcher(Service):
    """Replaces the certificates of a store when their files change.

    Files that are wrong are left alone, and told only after :data:`PATIENCE` seconds.
    """

    _log = Logger()

    def __init__(
        self,
        store: CertificateStore,
        pool: IWorkPool,
        clock: IReactorTime,
        events: IFileEvents = NO_FILE_EVENTS,
    ) -> None:
        """
        :param events: tell when a look is worth while before the next one is due.
        """
        self._store = store
        self._pool = pool
        self._clock = clock
        self._looks = Looks(self.check, CHECK_INTERVAL, clock=clock, what="certificates")
        self._events = events
        self._unsubscribe: Callable[[], None] = lambda: None
        self._seen: Signature | None = store.loaded
        self._wrong_since: float | None = None
        self._changed: set[str] = set()
        self._told = False

    def startService(self) -> None:
        """Begin to look at the files."""
        super().startService()
        self._looks.start(now=True)
        self._unsubscribe = self._events.subscribe(self._store.paths, self._looks.soon)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        self._unsubscribe()
        self._looks.stop()

    @inlineCallbacks
    def check(self) -> "Any":
        """Look once, and load what has changed since the store read its files, or the last look."""
        signature: Signature = yield self._pool.run(self._store.signature)
        if self._seen is None:
            self._seen = signature
        if signature == self._seen and self._wrong_since is None:
            return
        before, self._seen = self._seen, signature
        self._changed.update(
            path
            for path, old, new in zip(self._store.paths, before, signature, strict=True)
            if old != new
        )
        try:
            loaded = yield self._pool.run(self._store.read)
        except CertificateError as error:
            self._note_wrong(error)
            return
        self._store.replace(loaded)
        self._wrong_since, self._told = None, False
        for path in sorted(self._changed):
            self._log.info("{path} was changed and is in use", path=path)
        self._changed.clear()

    def _note_wrong(self, error: CertificateError) -> None:
        now = self._clock.seconds()
        if self._wrong_since is None:
            self._wrong_since = now
        if now - self._wrong_since >= PATIENCE and not self._told:
            self._told = True
            self._log.warn("changed certificates are not used: {why}", why=str(error))
