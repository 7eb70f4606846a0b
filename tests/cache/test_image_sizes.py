"""What memory knows of the sizes of images."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from regcache.cache.image_sizes import MOST_UNRECORDED, ImageSizes
from regcache.cache.policy import Policy, ServedRepository, ServedUpstream
from regcache.digests import Digest
from regcache.errors import DeniedError
from regcache.facts import Descriptor
from regcache.manifest_body import ManifestBody
from regcache.media_types import OCI_INDEX, OCI_MANIFEST
from tests.support.indexes import MemoryIndex
from tests.support.registries import FakeRegistry


def layer(number: int, size: int = 10) -> Descriptor:
    """One that no other number has."""
    return Descriptor(Digest.of(b"%d" % number), size, "a/b")


def _is_denied(failure: Failure) -> bool:
    failure.trap(DeniedError)
    return False


class UnrecordedTests(SynchronousTestCase):
    """Images that the index could not be told of."""

    def setUp(self) -> None:
        self.sizes = ImageSizes(MemoryIndex())
        self.repository = self.served(Policy(image_size=15))

    def served(self, policy: Policy) -> ServedRepository:
        """A repository under a policy."""
        return ServedUpstream(FakeRegistry(Clock()), policy).repository("org/app")

    def note(self, *layers: Descriptor, media_type: str = OCI_MANIFEST) -> None:
        """An image of these."""
        self.sizes.note_unrecorded(self.repository, ManifestBody(media_type, layers))

    def is_given(self, wanted: Descriptor) -> bool:
        """Whether a blob may be given."""
        checking = Deferred.fromCoroutine(self.sizes.check(self.repository, wanted.digest))
        outcome = checking.addCallbacks(lambda _: True, _is_denied)
        return bool(self.successResultOf(outcome))

    def test_sizes(self) -> None:
        """The smallest image counts, in any order of arrival."""
        one, other, third = layer(1), layer(2), layer(3)
        self.note(one, other)
        self.assertFalse(self.is_given(one) or self.is_given(other))
        self.assertTrue(self.is_given(third))
        self.note(one)
        self.assertEqual((self.is_given(one), self.is_given(other)), (True, False))
        self.note(one, third)
        self.assertEqual((self.is_given(one), self.is_given(third)), (True, False))

    def test_index(self) -> None:
        """An index is no image."""
        self.note(layer(1, 100), media_type=OCI_INDEX)
        self.assertTrue(self.is_given(layer(1)))

    def test_no_limit(self) -> None:
        """Without a limit nothing is remembered."""
        self.repository = self.served(Policy())
        self.note(layer(1, 100))
        self.repository = self.served(Policy(image_size=15))
        self.assertTrue(self.is_given(layer(1)))

    def test_bounded(self) -> None:
        """However many there are, memory holds so many; the latest of them."""
        for number in range(0, MOST_UNRECORDED + 4096, 1024):
            self.note(*[layer(each) for each in range(number, number + 1024)])
        self.assertEqual(len(self.sizes._unrecorded), MOST_UNRECORDED)
        self.assertTrue(self.is_given(layer(0)))
        self.assertFalse(self.is_given(layer(MOST_UNRECORDED + 4095)))
