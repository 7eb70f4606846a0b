"""Sizes as people write them."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.sizes import UNITS, parse_size


class SizeTests(SynchronousTestCase):
    """Reading them."""

    def test_exact(self) -> None:
        """Every unit counts to the byte, and what is less than one is dropped."""
        for unit, size in UNITS.items():
            self.assertEqual(parse_size(f"3{unit}", ""), 3 * size)
        self.assertEqual(parse_size("0.000001PiB", ""), 2**50 // 10**6)
        self.assertEqual(parse_size("1.9 B", ""), 1)
        self.assertEqual(parse_size("1234567890.5kB", ""), 1_234_567_890_500)

    def test_wrong(self) -> None:
        """What is no size is told as it was to be shown, with what may be written."""
        for text, why in (
            ("2 Gi", "<it> has no whole unit: write 2GiB or 2GB"),
            ("2k", "<it> has no whole unit: write 2KiB or 2kB"),
            ("2XB", "<it> is no size such as 512MiB, 50GiB or 80%"),
            ("1GiB\n", "<it> is no size such as 512MiB, 50GiB or 80%"),
        ):
            error = self.assertRaises(ValueError, parse_size, text, "<it>", " or 80%")
            self.assertEqual(str(error), why)
