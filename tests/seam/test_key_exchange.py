"""The groups of the key exchange."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from regcache.seam.key_exchange import limit_groups
from tests.support.certificates import Authority

#: As they stand in a ClientHello (RFC 8446, 4.2.7).
P256, P384, P521, X25519, X448 = 23, 24, 25, 29, 30
_LISTS = ("SSL_CTX_set1_groups_list", "SSL_CTX_set1_curves_list")


def client_hello(group: int) -> bytes:
    """A ClientHello of TLS 1.3 that knows one group and has no share of it yet."""

    def extension(kind: int, content: bytes) -> bytes:
        return kind.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content

    extensions = (
        extension(10, b"\0\2" + group.to_bytes(2, "big"))
        + extension(13, b"\0\4\x04\x03\x08\x04")
        + extension(43, b"\x02\x03\x04")
        + extension(51, b"\0\0")
    )
    body = b"\3\3" + b"r" * 32 + b"\0" + b"\0\2\x13\x01" + b"\1\0"
    body += len(extensions).to_bytes(2, "big") + extensions
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + len(message).to_bytes(2, "big") + message


class GroupsTests(SynchronousTestCase):
    """Which groups a server takes."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        issued = Authority(folder).issue("server.test")
        self.context: Any = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.use_certificate_chain_file(str(issued.chain))
        self.context.use_privatekey_file(str(issued.key))

    def takes(self, group: int) -> bool:
        """Whether it goes on: it asks for a share of the only group that the client knows."""
        connection = SSL.Connection(self.context, None)
        connection.set_accept_state()
        connection.bio_write(client_hello(group))
        with contextlib.suppress(SSL.Error):
            connection.do_handshake()
        # A handshake record is HelloRetryRequest, an alert is a refusal.
        return connection.bio_read(1) == b"\x16"

    def test_limited(self) -> None:
        """X25519, P-256 and P-384 are taken, or P-256 by old libraries; no other one is."""
        limit_groups(self.context)
        library = vars(SSL)["_lib"]
        some = {P256, P384, X25519} if any(hasattr(library, name) for name in _LISTS) else {P256}
        known = (P256, P384, P521, X25519, X448)
        self.assertEqual({group for group in known if self.takes(group)}, some)

    def test_without_lists(self) -> None:
        """Where the library takes no list P-256 remains, which every client has."""
        real = vars(SSL)["_lib"]
        names = ("EC_KEY_new_by_curve_name", "EC_KEY_free", "SSL_CTX_set_tmp_ecdh", "OBJ_txt2nid")
        library = SimpleNamespace(
            NID_undef=real.NID_undef, **{name: getattr(real, name) for name in names}
        )
        patched = self.patch(SSL, "_lib", library)
        limit_groups(self.context)
        patched.restore()
        self.assertTrue(self.takes(P256))
        for group in (X448, P521, X25519):
            self.assertFalse(self.takes(group), group)

    def test_unlimited(self) -> None:
        """Without it OpenSSL takes more: else there were nothing to do."""
        self.assertTrue(self.takes(P521))
