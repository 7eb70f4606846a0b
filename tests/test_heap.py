"""Tests for regcache.heap."""

import platform

from twisted.trial.unittest import SynchronousTestCase

from regcache.heap import KEPT, MAPPED, keep_freed_memory
from regcache.upstream.connections import MOST_READ


class KeepFreedMemoryTests(SynchronousTestCase):
    """Tests for :func:`keep_freed_memory`."""

    def test_options(self) -> None:
        """The pieces that sockets are read in come from what is kept."""
        options: dict[int, int] = {}

        def option(name: int, value: int) -> int:
            options[name] = value
            return 1

        self.assertTrue(keep_freed_memory(option))
        self.assertEqual(options, {-1: KEPT, -3: MAPPED})
        self.assertLess(MOST_READ, MAPPED)

    def test_refused(self) -> None:
        """An allocator that takes no options is no fault."""
        self.assertFalse(keep_freed_memory(lambda name, value: 0))

    def test_here(self) -> None:
        """Glibc takes them."""
        self.assertEqual(keep_freed_memory(), platform.libc_ver()[0] == "glibc")
