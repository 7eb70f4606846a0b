"""Who shows a certificate."""

import datetime
import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from regcache.access.client_issuers import ClientIssuers
from regcache.access.credentials import ClientCertificate
from tests.support.certificates import Authority


def chain_of(authority: Authority, name: str) -> list[x509.Certificate]:
    """A certificate and that of its issuer."""
    return x509.load_pem_x509_certificates(authority.issue(name).chain.read_bytes())


class IssuersTests(SynchronousTestCase):
    """One of ``client_ca``, our own, and another one of the same name."""

    def setUp(self) -> None:
        self.listed, self.own, self.other = (Authority(Path(self.mktemp())) for _ in range(3))
        self.listed_root, self.own_root = (
            x509.load_pem_x509_certificate(each.file.read_bytes())
            for each in (self.listed, self.own)
        )
        self.issuers = ClientIssuers([self.listed_root], self.own_root)

    def identify(self, chain: list[x509.Certificate]) -> ClientCertificate:
        """Who shows it; somebody does."""
        shown = self.issuers.identify(chain)
        assert shown is not None
        return shown

    def test_listed(self) -> None:
        """One that client_ca has issued names an account, and has a fingerprint and an end."""
        chain = chain_of(self.listed, "alice")
        shown = self.identify(chain)
        self.assertEqual(shown.account, "alice")
        der = chain[0].public_bytes(Encoding.DER)
        self.assertEqual(shown.fingerprint, hashlib.sha256(der).hexdigest())
        self.assertEqual(shown.until, chain[0].not_valid_after_utc.timestamp())

    def test_own(self) -> None:
        """One of our own authority names nobody, even where that is in client_ca, too."""
        chain = chain_of(self.own, "alice")
        self.assertEqual(self.identify(chain).account, "")
        self.issuers = ClientIssuers([self.listed_root, self.own_root], self.own_root)
        self.assertEqual(self.identify(chain).account, "")
        self.assertEqual(self.identify([*chain, self.listed_root]).account, "")

    def test_other(self) -> None:
        """One whose issuer only has the same name names nobody."""
        self.assertEqual(self.identify(chain_of(self.other, "alice")).account, "")

    def test_authority_itself(self) -> None:
        """An authority that shows its own certificate is no account."""
        self.assertEqual(self.identify([self.listed_root]).account, "")

    def test_none(self) -> None:
        """Without a certificate there is nobody."""
        self.assertIsNone(self.issuers.identify([]))

    def test_certificates(self) -> None:
        """All issuers are there for the check of a chain."""
        self.assertEqual(self.issuers.certificates, (self.listed_root, self.own_root))
        self.assertEqual(ClientIssuers((), self.own_root).certificates, (self.own_root,))
        self.assertEqual(ClientIssuers(()).certificates, ())

    def test_common_names(self) -> None:
        """No common name, or two of them, are nobody's."""
        for names, account in ((["alice"], "alice"), ([], ""), (["alice", "root"], "")):
            leaf = self_signed(names)
            self.assertEqual(self.identify([leaf, self.listed_root]).account, account)


def self_signed(names: list[str]) -> x509.Certificate:
    """A certificate with these common names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in names])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    return builder.sign(key, hashes.SHA256())
