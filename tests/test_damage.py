"""What was found to be damaged."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.damage import DamageRecord


class DamageTests(SynchronousTestCase):
    """It is counted until all is right."""

    def test_record(self) -> None:
        """How many, and when the last one was found."""
        record = DamageRecord()
        for now in (5.0, 7.0):
            record.found(now)
        self.assertEqual((record.count, record.last), (2, 7.0))
        record.clear()
        self.assertEqual((record.count, record.last), (0, None))
