"""Each command in the documents exists, with its options, and names what is there."""

import contextlib
import io
import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.api.calls import PREFIX
from regcache.admin_api import CALLS
from regcache.config.loading import load
from regcache.ctl.main import parser
from regcache.tap import Options
from tests.support.documents import (
    GUIDES,
    Command,
    blocks_of,
    commands_of,
    indented_blocks,
    remedies,
    text_of,
    typed,
    without_blocks,
)
from tests.support.processes import CHECKOUT, Workspace, find_program, run, unavailable
from tests.support.prometheus import alerts
from tests.test_packaging import setup, words

OPERATIONS = "docs/operations.md"
#: Options of programs that tests do not have. acme.sh: its wiki, "Options and Params"; certbot: its
#: command line reference; kubectl: its reference; smartctl(8); sqlite3(1).
ELSEWHERE = {
    "acme.sh": {
        *("--issue", "--dns", "-d", "--install-cert"),
        *("--key-file", "--fullchain-file", "--reloadcmd"),
    },
    "certbot": {"--webroot", "-w", "-d", "--deploy-hook"},
    "kubectl": {"--namespace", "--filename", "--"},
    "smartctl": {"-a"},
    "sqlite3": set(),
}
#: How other programs tell their options: what is asked, ``{0}`` for the first argument.
ASKED = {
    "curl": ("curl", "--help", "all"),
    "docker": ("docker", "{0}", "--help"),
    "git": ("git", "{0}", "-h"),
    "openssl": ("openssl", "{0}", "-help"),
    "apt": ("apt-get", "--help"),
}
PLAIN = (
    *("cp", "chmod", "chown", "df", "dmesg", "dpkg-buildpackage", "du", "grep", "install"),
    *("journalctl", "sort", "systemctl", "tail", "useradd"),
)
_VERB = re.compile(r"^ {2}([a-z-]+)\b", re.MULTILINE)


@cache
def told_by(*command: str) -> str:
    """What a program says of itself."""
    if find_program(command[0]) is None and not Path(command[0]).exists():
        unavailable(f"not installed here: {command[0]}")
    program = find_program(command[0]) or command[0]
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def knows(text: str, option: str) -> bool:
    """Whether a program tells of an option, or of all letters of some that are joined."""
    if re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text):
        return True
    letters = option[1:]
    if option.startswith("--") or len(letters) < 2:
        return False
    return all(knows(text, f"-{letter}") for letter in letters)


def units() -> set[str]:
    """The units that are installed, with and without the ending of a service."""
    names = {path.name for path in (CHECKOUT / "etc" / "systemd").iterdir()}
    return names | {name.removesuffix(".service") for name in names}


class CommandTests(SynchronousTestCase):
    """What is to be typed, taken out of the documents."""

    def setUp(self) -> None:
        self.workspace = Workspace()
        self.addCleanup(self.workspace.remove)
        self.special: dict[str, Callable[[Command], None]] = {
            "regcachectl": self.assert_parses,
            "make": self.assert_target,
            "systemctl": self.assert_unit,
            "journalctl": self.assert_unit_of_log,
            "curl": self.assert_address,
            "docker": self.assert_container,
            "pip": self.assert_extras,
            "python": self.assert_module,
            "python3": self.assert_environment,
            "git": lambda command: self.assertEqual(command.words[1], "clone"),
            "apt": self.assert_packages,
            "kill": self.assert_signal,
            "cd": self.assert_folder,
            "acme.sh": self.assert_hook,
            "certbot": self.assert_hook,
            "install": self.assert_files_of_checkout,
            "kubectl": self.assert_kubernetes,
            "sqlite3": self.assert_backup,
            "dpkg-buildpackage": self.assert_built_so,
            "cp": self.assert_installed,
            "echo": self.assert_written,
            "mkdir": lambda command: self.assertEqual(command.options, []),
            "twistd": self.assert_daemon,
        }

    def check(self, command: Command) -> None:
        """It is one that somebody checks, and is right."""
        program = command.program
        known = program in {*self.special, *PLAIN, *ELSEWHERE, *ASKED}
        self.assertTrue(known, f"{command}: no test knows this program")
        if program in self.special:
            self.special[program](command)
        if program in ELSEWHERE:
            self.assertLessEqual(set(command.options), ELSEWHERE[program], command)
        elif program in ASKED or program in PLAIN:
            asked = ASKED.get(program, (program, "--help"))
            if command.words[:2] == ("docker", "compose"):
                asked = ("docker-compose", command.words[2], "--help")
            text = told_by(*(each.format(*command.words[1:2]) for each in asked))
            for option in command.options:
                self.assertTrue(knows(text, option), f"{command}: {option}")

    def test_commands(self) -> None:
        """Programs, options, units, targets, files and addresses are there."""
        for name in GUIDES:
            self.assertEqual(indented_blocks(name), [], f"{name}: write ```sh, or what it is")
            for command in commands_of(name):
                self.check(command)

    def test_remedies(self) -> None:
        """So are those that are to be typed by symptom, in the documents and in alerts."""
        found = [each for each in remedies(OPERATIONS) if not self.is_setting(each)]
        for rule in alerts().values():
            _, _, text = rule["annotations"]["description"].partition("Type: ")
            found += typed("etc/prometheus/alerts.yml", re.sub(r"{{.*?}}", "docker.io", text))
        self.assertGreater(len(found), 20)
        for command in found:
            self.check(command)

    def test_named(self) -> None:
        """Each command of regcachectl that a text names is one."""
        commands = set(re.findall(r"^    (\w[\w-]*)\b", parser().format_help(), re.MULTILINE))
        for name in GUIDES:
            for named in re.findall(r"`regcachectl ([a-z][\w|-]*)", without_blocks(name)):
                self.assertLessEqual(set(named.split("|")), commands, name)

    def is_setting(self, command: Command) -> bool:
        """A key of the configuration, of a unit, or the beginning of a URL."""
        (word, *more) = command.words
        key = word.rpartition(".")[2]
        reference = text_of("docs/configuration.md")
        known = f"`{key}`" in reference or f".{key}`" in reference
        return not more and (known or word in ("LimitNOFILE=65536", "https://"))

    def test_can_fail(self) -> None:
        """What does not exist is found out."""
        for line in (
            "regcachectl frobnicate",
            "make frobnicate",
            "systemctl frobnicate regcache",
            "systemctl restart regcached",
            "curl http://127.0.0.1:5001/api/v1/frobnicate",
            "docker run --frobnicate regcache",
            "pip install .[frobnicate]",
            "frobnicate",
            "install -Q x y",
            "cd frobnicate",
        ):
            command = Command("a document", tuple(line.split()))
            self.assertRaises(AssertionError, self.check, command)

    # What the programs want

    def assert_parses(self, command: Command) -> None:
        """Its own parser takes it."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                parser().parse_args(command.words[1:])
        except SystemExit:
            self.fail(f"{command}: {said.getvalue()}")

    def assert_target(self, command: Command) -> None:
        """A target of the Makefile; variables are used there."""
        text = text_of("Makefile")
        targets = set(re.findall(r"^([\w-]+):", text, re.MULTILINE)) | {".venv-oldest/.installed"}
        for word in command.words[1:]:
            name, is_set, _ = word.partition("=")
            if is_set:
                self.assertIn(name, text, command)
            else:
                self.assertIn(word, targets, command)

    def assert_unit(self, command: Command) -> None:
        """A unit that is installed."""
        verb, *names = [word for word in command.words[1:] if not word.startswith("-")]
        self.assertIn(verb, _VERB.findall(told_by("systemctl", "--help")), command)
        self.assertLessEqual(set(names), units(), command)

    def assert_unit_of_log(self, command: Command) -> None:
        """The log of one."""
        self.assertIn(command.words[command.words.index("-u") + 1], units(), command)

    def assert_address(self, command: Command) -> None:
        """A path that the daemon answers; of the API with what the call takes."""
        target = command.words[-1] if "://" in command.words[-1] else f"http://{command.words[-1]}"
        path = urlsplit(target).path
        if not path.startswith(PREFIX):
            self.assertIn(path, ("/v2/", "/healthz", "/readyz", "/metrics"), command)
            return
        given = dict(zip(command.words, command.words[1:], strict=False))
        method = given.get("-X", "POST" if "-d" in given else "GET")
        calls = {(each.method, each.path): each for each in CALLS}
        self.assertIn((method, path.removeprefix(PREFIX)), calls, command)
        fields = calls[method, path.removeprefix(PREFIX)].fields.schema
        body = json.loads(given.get("-d", "{}"))
        self.assertLessEqual(set(body), set(fields["properties"]), command)
        self.assertLessEqual(set(fields.get("required", ())), set(body), command)

    def assert_container(self, command: Command) -> None:
        """Ports and folders are those of the Dockerfile; what runs inside is right, too."""
        image = text_of("Dockerfile")
        if "exec" in command.words:
            place = command.words.index("regcachectl")
            self.assert_parses(Command(command.document, command.words[place:]))
        if command.words[1] == "run" and command.words[-1] == "regcache":
            given = dict(zip(command.words, command.words[1:], strict=False))
            for option, instruction in (("-p", "EXPOSE"), ("-v", "VOLUME")):
                _, _, inside = given.get(option, "").rpartition(":")
                self.assertIn(f"\n{instruction} {inside}\n", image, command)

    def assert_extras(self, command: Command) -> None:
        """The checkout, with extras that it has."""
        self.assertEqual(command.words[1], "install", command)
        for each in command.words[2:]:
            extra = re.fullmatch(r"\.\[(\w+)\]", each)
            assert extra is not None, command
            self.assertIn(extra[1], setup()["options.extras_require"], command)

    def assert_module(self, command: Command) -> None:
        """A module, or a file with arguments that are modules."""
        if command.words[1] == "-m":
            self.assertEqual(command.words[2], "twisted.trial", command)
        else:
            self.assertTrue((CHECKOUT / command.words[1]).exists(), command)
        name = command.words[-1].replace(".", "/")
        found = (CHECKOUT / name, CHECKOUT / f"{name}.py")
        self.assertTrue(any(each.exists() for each in found), command)

    def assert_environment(self, command: Command) -> None:
        """An environment is made."""
        self.assertEqual(command.words[1:3], ("-m", "venv"), command)

    def assert_packages(self, command: Command) -> None:
        """Packages of Debian, or the one that is built."""
        verb, *names = command.words[1:]
        self.assertIn(verb, ("install", "build-dep"), command)
        (source,) = re.findall(r"^Package: (.*)$", text_of("debian/control"), re.MULTILINE)
        self.assertLessEqual(set(names), {"./", f"../{source}_*_all.deb", "sqlite3"}, command)

    def assert_signal(self, command: Command) -> None:
        """The one that reloads."""
        self.assertEqual(command.words[1], "-HUP", command)

    def assert_folder(self, command: Command) -> None:
        """A folder of the checkout, or the checkout."""
        folder = CHECKOUT / command.words[1]
        self.assertTrue(command.words[1] == "regcache" or folder.is_dir(), command)

    def assert_files_of_checkout(self, command: Command) -> None:
        """What is copied out of the checkout is in it."""
        for word in command.words[1:]:
            if word.startswith(("debian/", "etc/")):
                self.assertTrue((CHECKOUT / word).exists(), command)

    def assert_kubernetes(self, command: Command) -> None:
        """The file is here, and what runs inside is right."""
        self.assertIn(command.words[1], ("create", "apply", "exec"), command)
        self.assert_files_of_checkout(command)
        if "--" in command.words:
            inner = command.words[command.words.index("--") + 1 :]
            self.assert_parses(Command(command.document, inner))

    def assert_backup(self, command: Command) -> None:
        """The file is one of the storage directory."""
        self.assertIn(f"| `{Path(command.words[1]).name}`", text_of(OPERATIONS), command)

    def assert_written(self, command: Command) -> None:
        """What goes into a file is a configuration; a secret is only passed on."""
        if ">" not in command.words:
            return
        self.assertEqual(command.words[3:], ("regcache.yml",), command)
        file = self.workspace.file("regcache.yml", command.words[1])
        (self.workspace.path / "cache").mkdir(exist_ok=True)
        load(str(file), {})

    def assert_daemon(self, command: Command) -> None:
        """twistd knows the daemon, and that its option."""
        self.assertEqual(command.words[1:3], ("-n", "regcache"), command)
        known = {f"-{short}" for _, short, *_ in Options.optParameters}
        self.assertLessEqual(set(command.options), {"-n", *known}, command)

    def assert_built_so(self, command: Command) -> None:
        """The package is built and tried by the very same line."""
        self.assertIn(" ".join(command.words), text_of("tools/test-package"), command)

    def assert_installed(self, command: Command) -> None:
        """pip has put it there."""
        path = command.words[1].removeprefix("/opt/regcache/").removesuffix("/*")
        self.assertTrue(words("options.data_files", path), command)

    def assert_hook(self, command: Command) -> None:
        """What is done after a renewal, done here."""
        given = dict(zip(command.words, command.words[1:], strict=False))
        hook = given.get("--reloadcmd") or given.get("--deploy-hook")
        if hook is None:
            return
        here, live = self.workspace.path, self.workspace.path / "live"
        for name in ("tls/key.pem", "live/fullchain.pem", "live/privkey.pem"):
            self.workspace.file(name, name)
        (here / "tls" / "key.pem").chmod(0o600)
        own = hook.replace("/etc/regcache/", f"{here}/").replace("-g regcache ", "")
        own = own.replace("chgrp regcache", "ls")
        run(["sh", "-c", own], environment={"RENEWED_LINEAGE": str(live)})
        key = here / "tls" / "key.pem"
        self.assertEqual(key.stat().st_mode & 0o777, 0o640)
        if command.program == "certbot":
            self.assertEqual(key.read_text(), "live/privkey.pem")


class UncheckedTests(SynchronousTestCase):
    """Nothing is left out."""

    def test_languages(self) -> None:
        """Each block says what it is, and there are tests of such blocks."""
        known = {"sh", "yaml", "json", "toml", "ini", "haproxy", "nginx", "text"}
        for name in GUIDES:
            for block in blocks_of(name):
                self.assertIn(block.language, known, (name, block.text))
