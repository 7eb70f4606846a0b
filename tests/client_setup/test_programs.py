"""The names of client programs."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.guide import TOOLS
from regcache.client_setup.programs import PROGRAMS
from regcache.ctl.pulling import MANNERS


class ProgramTests(SynchronousTestCase):
    """One list, for all that knows them."""

    def test_names(self) -> None:
        """Each of them can be set up, and acted as, and no other."""
        self.assertEqual(tuple(TOOLS), PROGRAMS)
        self.assertEqual(tuple(MANNERS), PROGRAMS)
