"""When Python looks for garbage."""

import gc

from twisted.trial.unittest import SynchronousTestCase

from regcache.collecting import spare_what_is_there, without_collections


class CollectingTests(SynchronousTestCase):
    """The collector of this very process, which gets back what it had."""

    def setUp(self) -> None:
        self.addCleanup(gc.enable if gc.isenabled() else gc.disable)
        self.addCleanup(gc.unfreeze)

    def test_rests(self) -> None:
        """It rests within, and goes on behind."""
        gc.enable()
        with without_collections():
            self.assertFalse(gc.isenabled())
        self.assertTrue(gc.isenabled())

    def test_rested_before(self) -> None:
        """Where somebody switched it off it stays off."""
        gc.disable()
        with without_collections():
            pass
        self.assertFalse(gc.isenabled())

    def test_fault(self) -> None:
        """It goes on when what was to be made could not be."""
        gc.enable()
        with self.assertRaises(ZeroDivisionError), without_collections():
            raise ZeroDivisionError
        self.assertTrue(gc.isenabled())

    def test_spared(self) -> None:
        """What exists is not looked at again; what comes later is."""
        gc.unfreeze()
        spare_what_is_there()
        later: list[object] = []
        self.assertGreater(gc.get_freeze_count(), 10_000)
        self.assertTrue(any(each is later for each in gc.get_objects()))
