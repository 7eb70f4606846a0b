"""The authority of the cache's own."""

import os
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from twisted.trial.unittest import SynchronousTestCase

from regcache.own_authority import (
    CERTIFICATE_NAME,
    KEY_NAME,
    AuthorityError,
    load_or_make_authority,
)
from tests.support.certificates import Authority


class OwnAuthorityTests(SynchronousTestCase):
    """A folder with a certificate and its key."""

    def setUp(self) -> None:
        self.storage = Path(self.mktemp())
        self.storage.mkdir()
        self.folder = self.storage / "ca"

    def test_made(self) -> None:
        """It is made once, for us alone, and is the same ever after."""
        made = load_or_make_authority(str(self.folder))
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        for name in (KEY_NAME, CERTIFICATE_NAME):
            self.assertEqual(stat.S_IMODE((self.folder / name).stat().st_mode), 0o600)
        again = load_or_make_authority(str(self.folder))
        self.assertEqual(again.certificate, made.certificate)
        self.assertEqual(again.key.public_key(), made.certificate.public_key())
        self.assertEqual(os.listdir(self.storage), ["ca"])

    def test_certificate(self) -> None:
        """It may sign certificates of clients, but no further authority; no two are alike."""
        first = load_or_make_authority(str(self.folder)).certificate
        second = load_or_make_authority(str(self.storage / "other")).certificate
        limits = first.extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertTrue(limits.critical)
        self.assertEqual((limits.value.ca, limits.value.path_length), (True, 0))
        usage = first.extensions.get_extension_for_class(x509.KeyUsage).value
        self.assertTrue(usage.key_cert_sign)
        self.assertFalse(usage.digital_signature)
        self.assertNotEqual(first.subject, second.subject)
        first.verify_directly_issued_by(first)

    def test_damaged(self) -> None:
        """What is damaged, or does not belong together, is told in a line, and stays as it is."""
        load_or_make_authority(str(self.folder))
        key, certificate = self.folder / KEY_NAME, self.folder / CERTIFICATE_NAME
        good_key, good_certificate = key.read_bytes(), certificate.read_bytes()
        leaf = Authority(Path(self.mktemp())).issue("alice")
        for path, content in (
            (key, b"nothing"),
            (key, leaf.key.read_bytes()),
            (key, _pem(rsa.generate_private_key(65537, 2048))),
            (key, _pem(ec.generate_private_key(ec.SECP256R1()), b"secret")),
            (certificate, b"nothing"),
            (certificate, leaf.chain.read_bytes()),
        ):
            key.write_bytes(good_key)
            certificate.write_bytes(good_certificate)
            path.write_bytes(content)
            error = self.assertRaises(AuthorityError, load_or_make_authority, str(self.folder))
            self.assertIn(str(self.folder), str(error))
            self.assertNotIn("\n", str(error))
            self.assertEqual(path.read_bytes(), content)

    def test_missing(self) -> None:
        """A part that is missing is not made anew: what the other one signed would be void."""
        load_or_make_authority(str(self.folder))
        (self.folder / KEY_NAME).unlink()
        error = self.assertRaises(AuthorityError, load_or_make_authority, str(self.folder))
        self.assertIn(f"{self.folder / KEY_NAME}: No such file", str(error))

    def test_nowhere(self) -> None:
        """Where it cannot be made that is a line, too, and nothing is left."""
        error = self.assertRaises(AuthorityError, load_or_make_authority, "/nonexistent/x/ca")
        self.assertIn("No such file", str(error))
        self.folder.write_text("a file")
        self.assertRaises(AuthorityError, load_or_make_authority, str(self.folder))
        self.assertEqual(os.listdir(self.storage), ["ca"])


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        protection = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )
