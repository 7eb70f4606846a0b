"""Files in whose place others are put."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.replaced_file import ReplacedFile


class ReplacedFileTests(SynchronousTestCase):
    """When another file is there."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "regcache.yml"
        self.path.write_text("one")
        self.file = ReplacedFile(str(self.path))
        self.addCleanup(self.file.close)
        self.file.hold()

    def looks(self) -> list[bool]:
        """What three looks find."""
        return [self.file.is_replaced() for _ in range(3)]

    def put(self, text: str, path: Path | None = None) -> None:
        """Put another file there by a rename."""
        other = self.folder / "other"
        other.write_text(text)
        os.rename(other, path or self.path)

    def test_same(self) -> None:
        """A file that stays is no other one, not even if it is written in place."""
        self.path.write_text("two")
        self.assertEqual(self.looks(), [False] * 3)

    def test_rename(self) -> None:
        """One that is renamed to the path is, from the second look on, until it is read."""
        self.put("two")
        self.assertEqual(self.looks(), [False, True, True])
        self.file.hold()
        self.assertEqual(self.looks(), [False] * 3)

    def test_many_renames(self) -> None:
        """The number on the disk of a file that has gone may come back: it is another one."""
        for number in range(20):
            self.put(str(number))
            self.put(f"again {number}")
            self.assertEqual(self.looks(), [False, True, True])
            self.file.hold()

    def test_still_written(self) -> None:
        """One that grows between two looks is not read yet."""
        self.put("two")
        self.assertFalse(self.file.is_replaced())
        self.path.write_text("two and more")
        self.assertEqual(self.looks(), [False, True, True])

    def test_links(self) -> None:
        """A link that leads elsewhere counts, and so does that of a folder above it."""
        for number in (1, 2, 3):
            (self.folder / f"v{number}").mkdir()
            (self.folder / f"v{number}" / "c.yml").write_text(str(number))
        data, path = self.folder / "..data", self.folder / "c.yml"
        data.symlink_to("v1")
        path.symlink_to("..data/c.yml")
        self.file = ReplacedFile(str(path))
        self.addCleanup(self.file.close)
        self.file.hold()
        self.assertEqual(self.looks(), [False] * 3)
        for target in ("v2", "v3"):
            (self.folder / "new").symlink_to(target)
            os.rename(self.folder / "new", data)
            self.assertEqual(self.looks(), [False, True, True])
            self.file.hold()

    def test_gone(self) -> None:
        """A path that leads nowhere is no other file; what comes there is."""
        self.path.unlink()
        self.assertEqual(self.looks(), [False] * 3)
        self.path.write_text("two")
        self.assertEqual(self.looks(), [False, True, True])

    def test_none(self) -> None:
        """Where no file could be held, one that comes is another one."""
        self.path.unlink()
        self.assertIsNone(self.file.hold())
        self.path.write_text("two")
        self.assertEqual(self.looks(), [False, True, True])
