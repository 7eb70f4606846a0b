"""The limit of open files."""

import resource

from twisted.trial.unittest import SynchronousTestCase

from regcache.open_files import raise_limit


class LimitTests(SynchronousTestCase):
    """A process whose soft limit is lower than its hard one."""

    def setUp(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        self.hard = before[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))

    def test_raised(self) -> None:
        """The soft limit becomes the hard one, however often that is asked for."""
        for _ in range(2):
            self.assertEqual(raise_limit(), self.hard)
            self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (self.hard, self.hard))

    def test_refused(self) -> None:
        """Where the system does not grant that the process goes on with what it has."""

        def refuse(which: int, limits: tuple[int, int]) -> None:
            raise ValueError("not allowed to raise maximum limit")

        self.patch(resource, "setrlimit", refuse)
        self.assertEqual(raise_limit(), self.hard - 1)
