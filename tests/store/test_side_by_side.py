"""Writes that one thread makes while another one hashes them."""

from regcache.store import trailing_hash
from tests.store import test_partial


class SideBySideTests(test_partial.PartialFileTests):
    """Everything that holds for small writes holds for large ones."""

    def setUp(self) -> None:
        """Every write is a large one."""
        super().setUp()
        self.patch(trailing_hash, "LARGE", 1)


class SideBySideFaultTests(test_partial.FaultyDiskTests):
    """So does what holds on disks that do not do as they are told."""

    def setUp(self) -> None:
        """Every write is a large one."""
        super().setUp()
        self.patch(trailing_hash, "LARGE", 1)

    def test_hashed_but_not_written(self) -> None:
        """Bytes that were hashed, and that the disk refused, do not count."""
        disk = test_partial.FaultyDisk(5000, 1000)
        file = self.faulty(disk)
        self.successResultOf(file.write(0, [test_partial.CONTENT[:1000]]))
        self.failureResultOf(file.write(1000, [bytes(test_partial.SIZE - 1000)]), OSError)
        disk.room = test_partial.SIZE
        self.successResultOf(file.write(1000, [test_partial.CONTENT[1000:]]))
        file.set_size(test_partial.SIZE)
        self.assertTrue(self.successResultOf(file.verify()))
