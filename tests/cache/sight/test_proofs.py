"""What an answer to HEAD proves."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.sight.proofs import agrees, is_manifest, is_page
from regcache.digests import Digest
from regcache.facts import ContentHead
from regcache.media_types import MANIFEST_TYPES, OCI_MANIFEST

THIS, OTHER = Digest.of(b"this"), Digest.of(b"other")


class ProofTests(SynchronousTestCase):
    """What an answer to HEAD proves."""

    def test_agrees(self) -> None:
        """Digest or size must agree, and neither contradict; what is absent proves nothing."""
        table = (
            (THIS, 4, 4, True),
            (THIS, None, 4, True),
            (THIS, None, None, True),
            (THIS, 9, None, True),
            (None, 4, 4, True),
            (None, 0, 0, True),
            (None, 4, None, False),
            (None, None, 4, False),
            (None, None, None, False),
            (None, 9, 4, False),
            (THIS, 9, 4, False),
            (OTHER, 4, 4, False),
        )
        for digest, size, known, expected in table:
            with self.subTest(digest=digest, size=size, known=known):
                self.assertIs(agrees(ContentHead(digest, size, ""), THIS, known), expected)

    def test_is_manifest(self) -> None:
        """A manifest has the media type of one, and no other digest than was asked for."""
        for media_type in MANIFEST_TYPES:
            self.assertTrue(is_manifest(ContentHead(None, None, media_type), "latest"))
        for media_type in ("", "text/html", "application/json", "application/octet-stream"):
            self.assertFalse(is_manifest(ContentHead(THIS, 4, media_type), str(THIS)))
        for digest, reference, expected in (
            (THIS, str(THIS), True),
            (None, str(THIS), True),
            (OTHER, str(THIS), False),
            (OTHER, "latest", True),
        ):
            head = ContentHead(digest, None, OCI_MANIFEST)
            self.assertIs(is_manifest(head, reference), expected)

    def test_is_page(self) -> None:
        """Of a blob that nobody knows an answer must not speak of another one, nor be a page."""
        for head, expected in (
            (ContentHead(None, 4, "application/octet-stream"), False),
            (ContentHead(None, 4, ""), False),
            (ContentHead(THIS, 4, "text/html"), False),
            (ContentHead(None, 4, "text/html"), True),
            (ContentHead(OTHER, 4, ""), True),
        ):
            self.assertIs(is_page(head, THIS), expected)
