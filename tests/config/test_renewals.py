"""Certificates that are being renewed while the configuration is read again."""

import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.config import files as config_files
from regcache.config.loading import load
from regcache.config.problems import ConfigError
from regcache.renewals import PATIENCE, changed_lately
from tests.support.certificates import Authority


class RenewalTests(SynchronousTestCase):
    """A chain that was written, and a key that was not yet."""

    def setUp(self) -> None:
        authority = Authority(Path(self.mktemp()))
        self.files, self.new = authority.issue("a.example"), authority.issue("a.example")
        self.file = Path(self.mktemp())
        chain, key = self.files.chain.absolute(), self.files.key.absolute()
        self.file.write_text(f"tls: {{chain: {chain}, key: {key}}}\n")
        self.in_use = frozenset({str(chain), str(key)})

    def warnings(self) -> list[str]:
        """Those of a reload, without those that there always are."""
        found = load(str(self.file), {}, self.in_use).warnings
        return [line for line in found if "stays in use meanwhile" in line]

    def test_half_written(self) -> None:
        """A reload takes what does not fit yet, and says so; so where a file is not whole."""
        self.files.chain.write_bytes(self.new.chain.read_bytes())
        (line,) = self.warnings()
        self.assertIn(":1: tls.key: ", line)
        self.assertIn("is not the key of the first certificate", line)
        self.files.chain.write_bytes(self.new.chain.read_bytes()[:100])
        self.assertIn(":1: tls.chain: ", self.warnings()[0])
        self.files.key.unlink()
        self.assertEqual(len(self.warnings()), 3)
        self.files.key.write_bytes(self.new.key.read_bytes())
        self.files.chain.write_bytes(self.new.chain.read_bytes())
        self.assertEqual(self.warnings(), [])

    def test_not_in_use(self) -> None:
        """What no daemon has read has to be right at once."""
        self.files.chain.write_bytes(self.new.chain.read_bytes())
        self.assertRaises(ConfigError, load, str(self.file), {})

    def test_later(self) -> None:
        """What has not become right in a minute is an error."""
        self.files.chain.write_bytes(self.new.chain.read_bytes())
        later = time.time() + PATIENCE + 1
        self.patch(config_files.time, "time", lambda: later)
        self.assertRaises(ConfigError, load, str(self.file), {}, self.in_use)

    def test_lately(self) -> None:
        """A change counts for a minute; of what is missing the folder tells, if there is one."""
        now, path = time.time(), str(self.files.key)
        self.assertTrue(changed_lately([path], now))
        self.assertFalse(changed_lately([path], now + PATIENCE + 1))
        self.assertTrue(changed_lately([f"{path}.none"], now))
        self.assertFalse(changed_lately(["/nowhere/none"], now))
