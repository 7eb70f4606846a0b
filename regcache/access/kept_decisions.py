"""Keeps decisions for further requests with the same credentials, to check none twice."""

import os
from hashlib import sha256

from twisted.internet.interfaces import IReactorTime

from regcache.access.credentials import Asker, ClientCertificate
from regcache.access.principals import Decision
from regcache.bounded import BoundedTable

#: Decisions that are kept.
MOST_DECISIONS = 10_000


class KeptDecisions:
    """Decisions, under a keyed hash of all that they depend on."""

    def __init__(self, clock: IReactorTime) -> None:
        self._table: BoundedTable[bytes, Decision] = BoundedTable(MOST_DECISIONS, clock)
        # The hashes never leave this process, so a secret before the text is enough of a key.
        self._keyed = sha256(os.urandom(64))

    def find(
        self,
        host: bytes,
        address: str | None,
        authorization: bytes | None,
        certificate: ClientCertificate | None,
    ) -> Decision | None:
        """The decision kept for these credentials, given byte by byte as they came.

        :param host: in lower case, with the port.
        """
        return self._table.get(self._key(host, address, authorization, certificate))

    def find_for(self, asker: Asker) -> Decision | None:
        """The decision kept for an asker."""
        return self._table.get(self._key_of(asker))

    def keep(self, asker: Asker, decision: Decision, seconds: float) -> None:
        """Keep one for a while."""
        self._table.put(self._key_of(asker), decision, seconds=seconds)

    def clear(self) -> None:
        """Forget all of them."""
        self._table.clear()

    def _key_of(self, asker: Asker) -> bytes:
        shown = asker.authorization
        return self._key(
            asker.host.encode("latin-1", "replace"),
            asker.address,
            None if shown is None else shown.encode("latin-1", "replace"),
            asker.certificate,
        )

    def _key(
        self,
        host: bytes,
        address: str | None,
        authorization: bytes | None,
        certificate: ClientCertificate | None,
    ) -> bytes:
        """Only the last part may have a NUL; a certificate has one account."""
        shown = b"-" if authorization is None else b"=" + authorization
        place = b"" if address is None else address.encode("utf-8", "surrogateescape")
        parts = [host, place, b"", shown]
        if certificate is not None:
            account = certificate.account.encode("utf-8", "surrogateescape")
            parts[2] = certificate.fingerprint.encode() + account
        keyed = self._keyed.copy()
        keyed.update(b"\0".join(parts))
        return keyed.digest()
