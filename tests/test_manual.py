"""Manual pages and completion, which packages are built with."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from regcache import __version__
from regcache.ctl.main import parser
from tests.config.schema_walk import every_key
from tests.support.processes import CHECKOUT, Workspace, find_program, run
from tools.command_tree import commands
from tools.man_pages import escaped, prose
from tools.write_manual import written

DATE = "2026-01-31"


class PageTests(SynchronousTestCase):
    """The pages."""

    def setUp(self) -> None:
        self.files = written(DATE)

    def test_commands(self) -> None:
        """regcachectl(1) has every command with all of its options, and when they were made."""
        page = self.files["regcachectl.1"]
        self.assertIn(f".TH REGCACHECTL 1 {DATE}", page)
        for command in commands(parser()):
            _, found, rest = page.partition(f"\n.SS {escaped(command.name)}\n")
            self.assertTrue(found, command.name)
            text = rest.partition("\n.SS ")[0]
            flags = {escaped(one.flags[-1]) for one in command.options} - {escaped("--help")}
            self.assertEqual({flag for flag in flags if flag not in text}, set(), command.name)

    def test_keys(self) -> None:
        """regcache.yml(5) has every key of the schema."""
        page = self.files["regcache.yml.5"].replace("\\-", "-")
        for path in every_key():
            self.assertRegex(page, rf"\\fB(?:\S+\.)?{path.rpartition('.')[2]}\\fR")

    def test_escapes(self) -> None:
        """No text is taken for a request of roff or an escape."""
        self.assertEqual(escaped(".x\n'y\\z-"), "\\&.x\n\\&'y\\ez\\-")
        self.assertEqual(prose("see `a-b` in [here](there.md)"), "see \\fBa\\-b\\fR in here")

    def test_roff(self) -> None:
        """No line begins with a dot but requests that there are."""
        known = {"TH", "SH", "SS", "TP", "PP", "B", "I", "BR", "RI", "RB", "IR", "br"}
        known |= {"nf", "fi", "RS", "RE"}
        for name, text in self.files.items():
            if name[-2] == ".":
                found = {line[1:].split(" ")[0] for line in text.splitlines() if line[:1] == "."}
                self.assertEqual(found - known, set(), name)


class CompletionTests(SynchronousTestCase):
    """What shells are told."""

    def setUp(self) -> None:
        self.workspace = Workspace()
        self.addCleanup(self.workspace.remove)
        for name, text in written(DATE).items():
            self.workspace.file(name, text)

    def complete(self, *words: str) -> list[str]:
        """What bash makes of a command line whose last word is begun."""
        script = self.workspace.path / "regcachectl.bash"
        quoted = " ".join(f"'{word}'" for word in ("regcachectl", *words))
        program = (
            f". {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; "
            'cd /; _regcachectl; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", program], capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.split()

    def test_bash(self) -> None:
        """Commands, options, values of options, and files where files are wanted."""
        self.assertEqual(self.complete("che"), ["check-config"])
        self.assertEqual(self.complete("ls", "--pin"), ["--pinned"])
        self.assertEqual(self.complete("ls", "--sort", "last"), ["last_used"])
        self.assertEqual(self.complete("ls", "--upstream", ""), [])
        self.assertEqual(self.complete("check-config", "et"), ["etc"])
        self.assertEqual(self.complete("status", "-c", "et"), ["etc"])

    def test_all_commands(self) -> None:
        """Each shell knows each command."""
        names = {one.name for one in commands(parser()) if " " not in one.name}
        for file in ("regcachectl.bash", "_regcachectl", "regcachectl.fish"):
            text = (self.workspace.path / file).read_text()
            self.assertEqual({name for name in names if name not in text}, set(), file)

    def test_syntax(self) -> None:
        """Each shell that is here can read its file."""
        for shell, file in (
            ("bash", "regcachectl.bash"),
            ("zsh", "_regcachectl"),
            ("fish", "regcachectl.fish"),
        ):
            if find_program(shell) is not None:
                run([shell, "-n", str(self.workspace.path / file)])


class PackagingFileTests(SynchronousTestCase):
    """Files of packages that repeat what is said elsewhere."""

    def test_configurations(self) -> None:
        """The shipped configurations are right, and ``debian/`` serves loopback alone."""
        for name in ("debian/regcache.yml", "etc/container.yml"):
            run([*_control(), "check-config", str(CHECKOUT / name)], environment=_path())
        text = (CHECKOUT / "debian" / "regcache.yml").read_text()
        self.assertNotIn("\nlisteners", text)

    def test_dependencies(self) -> None:
        """Debian's packages are named wherever the program's libraries are."""
        wanted = ("twisted", "treq", "bcrypt", "jwt", "prometheus-client", "cronsim", "rich")
        wanted += ("yaml", "openssl", "service-identity", "cryptography", "h2")
        for file in ("debian/control", "Dockerfile"):
            text = (CHECKOUT / file).read_text()
            missing = [each for each in wanted if f"python3-{each}" not in text]
            self.assertEqual(missing, [], file)

    def test_version(self) -> None:
        """The Debian package has the version of the program."""
        first = (CHECKOUT / "debian" / "changelog").read_text().splitlines()[0]
        self.assertTrue(first.startswith(f"regcache ({__version__}"), first)


def _control() -> list[str]:
    return [sys.executable, "-m", "regcache.ctl"]


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(CHECKOUT)}
