"""The key of our own tokens."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.token_key import LENGTH, KeyFileError, load_or_make_key


class KeyTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = str(self.directory / "token.key")

    def test_made(self) -> None:
        """A missing key is made, for its owner alone, and is the same from then on."""
        key = load_or_make_key(self.path)
        self.assertEqual(len(key), LENGTH)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assertEqual(load_or_make_key(self.path), key)
        self.assertEqual(os.listdir(self.directory), ["token.key"])

    def test_short(self) -> None:
        """A key that is too short is refused, with what to type."""
        Path(self.path).write_bytes(b"x" * (LENGTH - 1))
        error = self.assertRaises(KeyFileError, load_or_make_key, self.path)
        self.assertIn("head -c 32 /dev/urandom", str(error))

    def test_unusable(self) -> None:
        """What can be neither read nor made is an error with its path."""
        for path in (str(self.directory), str(self.directory / "missing" / "token.key")):
            error = self.assertRaises(KeyFileError, load_or_make_key, path)
            self.assertIn(path, str(error))
