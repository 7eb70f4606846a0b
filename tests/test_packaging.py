"""What is installed is what is here: packages, the plugin, the command, the version."""

import configparser
import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache import __version__
from tests.support.processes import CHECKOUT, Workspace, run, unavailable

#: Folders of etc/ that are installed. That of Docker Compose is for a checkout.
SHARED = ("systemd", "prometheus", "grafana", "kubernetes", "proxy")
PLUGIN = "twisted/plugins/regcache_plugin.py"
#: What the wheel is built from.
SOURCES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "etc", "regcache", "twisted")


@cache
def setup() -> configparser.ConfigParser:
    """setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    return parser


def words(section: str, key: str) -> list[str]:
    """The lines of a value in setup.cfg."""
    return [line for line in setup()[section][key].splitlines() if line.strip()]


def can_build_here() -> bool:
    """Whether this interpreter's own setuptools make a wheel, so that nothing is downloaded."""
    if find_spec("setuptools") is None:
        return False
    newest = int(metadata.version("setuptools").partition(".")[0])
    return newest >= 71 or find_spec("wheel") is not None


class SourceTests(SynchronousTestCase):
    """The checkout."""

    def test_packages(self) -> None:
        """setup.cfg lists every package there is, by hand."""
        folders = {
            ".".join(path.parent.relative_to(CHECKOUT).parts)
            for path in (CHECKOUT / "regcache").rglob("__init__.py")
        }
        self.assertEqual(set(words("options", "packages")), folders | {"twisted.plugins"})

    def test_every_folder_is_a_package(self) -> None:
        """No folder with modules lacks its __init__.py, but those that must not have one."""
        for path in (CHECKOUT / "regcache").rglob("*.py"):
            self.assertTrue((path.parent / "__init__.py").exists(), path)

    def test_twisted_is_not_shadowed(self) -> None:
        """An __init__.py in twisted/ or its plugins/ would hide the framework."""
        self.assertEqual(list((CHECKOUT / "twisted").rglob("__init__.py")), [])

    def test_plugin_is_thin(self) -> None:
        """The plugin imports nothing of ours: every twistd on the machine loads it."""
        text = (CHECKOUT / PLUGIN).read_text(encoding="utf-8")
        self.assertLess(len(text.splitlines()), 12)
        self.assertIsNone(re.search(r"^\s*(from|import) regcache", text, re.MULTILINE))

    def test_versions(self) -> None:
        """The version is written in one place; the list of changes knows it or what comes."""
        self.assertEqual(setup()["metadata"]["version"], "attr: regcache.__version__")
        changes = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
        first = re.search(r"^## \[?([^\]\s]+)", changes, re.MULTILINE)
        assert first is not None
        self.assertIn(first[1].lower(), (__version__, "unreleased"))

    def test_command(self) -> None:
        """The console script leads to a function."""
        (line,) = words("options.entry_points", "console_scripts")
        name, _, reference = line.partition(" = ")
        module, _, function = reference.partition(":")
        self.assertEqual(name, "regcachectl")
        self.assertTrue(callable(getattr(importlib.import_module(module), function)))


class WheelTests(SynchronousTestCase):
    """A wheel, really built."""

    def setUp(self) -> None:
        self.workspace = Workspace()
        self.addCleanup(self.workspace.remove)

    def build(self) -> zipfile.ZipFile:
        """Build it from a copy, so that nothing is left in the checkout."""
        source = self.workspace.path / "source"
        source.mkdir()
        for name in SOURCES:
            if (CHECKOUT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "dropin.cache")
                shutil.copytree(CHECKOUT / name, source / name, ignore=ignored)
            else:
                shutil.copy(CHECKOUT / name, source / name)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
        if can_build_here():
            command.insert(5, "--no-build-isolation")
        built = self.workspace.path / "built"
        try:
            run([*command, str(built), str(source)], timeout=120)
        except AssertionError as error:
            if can_build_here() or "No matching distribution" not in str(error):
                raise
            unavailable("no setuptools that make wheels here, and none to be had")
        (wheel,) = built.iterdir()
        archive = zipfile.ZipFile(wheel)
        self.addCleanup(archive.close)
        return archive

    def test_wheel(self) -> None:
        """It holds all modules, the web UI, plugin, command and version; twistd finds it."""
        archive = self.build()
        names = set(archive.namelist())
        modules = {
            str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "regcache").rglob("*.py")
        }
        self.assertEqual(modules - names, set())
        pages = CHECKOUT / "regcache" / "admin" / "ui"
        files = {str(each.relative_to(CHECKOUT)) for each in pages.rglob("*") if each.is_file()}
        self.assertEqual(files - names, set())
        shared = f"regcache-{__version__}.data/data/share/regcache/"
        examples = CHECKOUT / "etc"
        wanted = {
            f"{shared}{path.relative_to(examples)}"
            for path in examples.rglob("*")
            if path.is_file() and path.parent.name in {"etc", *SHARED}
        }
        self.assertEqual(wanted - names, set())
        self.assertIn(f"{shared}systemd/regcache.service", names)
        self.assertIn(PLUGIN, names)
        self.assertEqual({name for name in names if name.startswith("twisted/")}, {PLUGIN})
        self.assertEqual({name for name in names if name.startswith("tests")}, set())
        information = f"regcache-{__version__}.dist-info"
        entries = archive.read(f"{information}/entry_points.txt").decode()
        self.assertIn("regcachectl = regcache.ctl.main:main", entries)
        self.assertIn(
            f"\nVersion: {__version__}\n", archive.read(f"{information}/METADATA").decode()
        )
        installed = self.workspace.path / "installed"
        archive.extractall(installed)
        self.assertIn("regcache", plugins(self.workspace, {"PYTHONPATH": str(installed)}))


def plugins(workspace: Workspace, environment: dict[str, str]) -> set[str]:
    """The commands that twistd knows in an empty working directory."""
    empty = workspace.path / "empty"
    empty.mkdir(exist_ok=True)
    twistd = str(Path(sys.executable).with_name("twistd"))
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [twistd, "--help"],
        cwd=empty,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    commands = done.stdout.partition("Commands:")[2]
    return set(re.findall(r"^    (\S+)", commands, re.MULTILINE))


class InstalledTests(SynchronousTestCase):
    """The environment in which the tests run."""

    def setUp(self) -> None:
        self.workspace = Workspace()
        self.addCleanup(self.workspace.remove)

    def test_checkout_on_the_path(self) -> None:
        """With the checkout on the path twistd finds the plugin from any directory."""
        self.assertIn("regcache", plugins(self.workspace, {"PYTHONPATH": str(CHECKOUT)}))

    def test_installed(self) -> None:
        """Where it is installed twistd and the command are found without any path."""
        try:
            version = metadata.version("regcache")
        except metadata.PackageNotFoundError:
            unavailable("regcache is not installed in this environment")
        self.assertEqual(version, __version__)
        self.assertIn("regcache", plugins(self.workspace, {}))
        self.assertTrue(Path(sys.executable).with_name("regcachectl").exists())
