"""The file of authorities for clients."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from regcache.client_ca import parse_issuers
from tests.access.test_client_issuers import self_signed
from tests.support.certificates import Authority


class IssuersFileTests(SynchronousTestCase):
    """What may stand in it."""

    def test_several(self) -> None:
        """All certificates are taken, with any text between them."""
        first, second = (Authority(Path(self.mktemp())).file.read_bytes() for _ in range(2))
        self.assertEqual(len(parse_issuers(b"# ours\n" + first + b"\n\n# theirs\n" + second)), 2)

    def test_no_authority(self) -> None:
        """Certificates of clients, and those that do not say what they are, are refused."""
        authority = Authority(Path(self.mktemp()))
        leaf = authority.issue("alice").chain.read_bytes()
        error = self.assertRaises(ValueError, parse_issuers, authority.file.read_bytes() + leaf)
        self.assertIn("number 2", str(error))
        silent = self_signed(["x"]).public_bytes(Encoding.PEM)
        self.assertRaises(ValueError, parse_issuers, silent)

    def test_nothing(self) -> None:
        """A file without a certificate is refused."""
        for content in (b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nx\n"):
            self.assertRaises(ValueError, parse_issuers, content)
