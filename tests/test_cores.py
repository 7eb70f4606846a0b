"""Tests for regcache.cores."""

import os

from twisted.trial.unittest import SynchronousTestCase

from regcache.cores import usable_cores


class CoresTests(SynchronousTestCase):
    """How many cores there are."""

    def test_usable_cores(self) -> None:
        """Where the system does not say which cores may be used, all are counted."""
        self.assertEqual(usable_cores(), len(os.sched_getaffinity(0)))
        self.patch(os, "cpu_count", lambda: None)
        self.patch(os, "sched_getaffinity", None)
        del os.sched_getaffinity
        self.assertEqual(usable_cores(), 1)
