"""The libraries that the web UI brings along are what npm has, and said to be that."""

import hashlib
import json
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.ui_files import FOLDER
from tests.support.processes import CHECKOUT, unavailable

VENDOR = FOLDER / "vendor"
TOOLS = CHECKOUT / "tools" / "ui"
_ROW = re.compile(r"^\| (\S+) \| (\S+) \| \S+ \| (\S+) \| ([0-9a-f]{64}) \|$", re.MULTILINE)


def in_package(package: str, file: str) -> Path:
    """Where npm has a file."""
    name = Path(file).relative_to(file.split("/")[0])
    folder = TOOLS / "node_modules" / package
    return next((each for each in (folder / name, folder / "dist" / name) if each.exists()), folder)


class VendorTests(SynchronousTestCase):
    """vendor/ and its table."""

    def setUp(self) -> None:
        self.rows = _ROW.findall((VENDOR / "README.md").read_text(encoding="utf-8"))

    def test_table(self) -> None:
        """The table has every file, with the hash that it has."""
        files = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*.*")}
        files |= {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("LICENSE")}
        listed = {file for _, _, file, _ in self.rows}
        self.assertEqual({one for one in files if (VENDOR / one).is_file()} - listed, {"README.md"})
        for _, _, file, expected in self.rows:
            content = (VENDOR / file).read_bytes()
            self.assertEqual(hashlib.sha256(content).hexdigest(), expected, file)

    def test_versions(self) -> None:
        """The versions are those of which npm checked the hash at its installation."""
        lock = json.loads((TOOLS / "package-lock.json").read_text(encoding="utf-8"))
        for package, version, _, _ in self.rows:
            locked = lock["packages"][f"node_modules/{package}"]
            self.assertEqual(locked["version"], version)
            self.assertTrue(locked["integrity"].startswith("sha512-"))
        self.assertEqual(
            [name for name, each in lock["packages"].items() if "resolved" in each], []
        )

    def test_packages(self) -> None:
        """Each file is, byte for byte, that of the package."""
        if not (TOOLS / "node_modules").exists():
            unavailable("the packages are missing: make lint installs them")
        for package, _, file, _ in self.rows:
            self.assertEqual(
                (VENDOR / file).read_bytes(), in_package(package, file).read_bytes(), file
            )

    def test_dangerous(self) -> None:
        """What turns text into HTML, or sets styles in attributes, is not there."""
        found = [
            path.name for path in VENDOR.rglob("*") if re.search("unsafe|style-map", path.name)
        ]
        self.assertEqual(found, [])
