"""README and the guide to installing: what is to be typed or copied from them is right."""

import json
import re
import shlex
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.guide import guide_for
from regcache.client_setup.located import locate_registries
from regcache.client_setup.served import ListeningPlace, ServedHere, ServedRegistry
from regcache.client_setup.steps import MARK, SetUp
from regcache.config import load
from regcache.ctl.main import parser
from tests.client_setup.cases import files
from tests.support.certificates import Authority
from tests.support.processes import CHECKOUT, Workspace

READMES = ("README.md", "README.zh-CN.md")
GUIDES = (*READMES, "docs/install.md")
#: All that people read; their links are looked at.
DOCUMENTS = (*GUIDES, "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
SERVED = ServedHere(
    [ListeningPlace("http", 5000, names=("127.0.0.1",))],
    [ServedRegistry("docker.io", server="https://registry-1.docker.io")],
    default_upstream="docker.io",
)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_FOLDER = "/etc/regcache/"


def text_of(name: str) -> str:
    """A document."""
    return (CHECKOUT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for found, body in _FENCED.findall(text_of(name)) if found == language]


def typed(name: str) -> list[list[str]]:
    """The words of all lines that are to be typed, without what comes before the program."""
    plain = _FENCED.sub("", text_of(name))
    shell = [*blocks(name, "sh"), *_INDENTED.findall(plain)]
    joined = "".join(shell).replace("\\\n", " ")
    lines = [_words(line.strip()) for line in joined.splitlines()]
    return [words for words in lines if words]


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
        del words[0]
    return words


def anchors(name: str) -> set[str]:
    """What a link may name behind "#"."""
    heads = re.findall("^#+ (.*)$", _FENCED.sub("", text_of(name)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


class DocumentTests(SynchronousTestCase):
    """What is written there, taken out and tried as far as no network is needed."""

    def setUp(self) -> None:
        workspace = Workspace()
        self.addCleanup(workspace.remove)
        self.folder = workspace.path

    def _etc(self) -> Path:
        """A folder with all files that the configurations name."""
        made = Authority(self.folder).issue("example.com")
        for name in ("hub.password", "htpasswd", "ca.pem"):
            (self.folder / name).write_text("")
        (self.folder / "hub.password").write_text("secret\n")
        (self.folder / "tls").mkdir()
        for name in ("fullchain.pem", "fullchain.cer"):
            (self.folder / "tls" / name).write_bytes(made.chain.read_bytes())
        for name in ("key.pem", "example.com.key"):
            (self.folder / "tls" / name).write_bytes(made.key.read_bytes())
        return self.folder

    def test_configurations(self) -> None:
        """Each YAML block is a configuration that is taken."""
        etc = self._etc()
        for name in GUIDES:
            found = blocks(name, "yaml")
            self.assertTrue(found, name)
            for block in found:
                file = etc / "regcache.yml"
                file.write_text(block.replace(_FOLDER, f"{etc}/"), encoding="utf-8")
                load(str(file), {})

    def test_commands(self) -> None:
        """Each line that begins with regcachectl is one that it understands."""
        for name in GUIDES:
            commands = [words for words in typed(name) if Path(words[0]).name == "regcachectl"]
            self.assertTrue(commands, name)
            for words in commands:
                try:
                    parser().parse_args(words[1:])
                except SystemExit:
                    self.fail(f"{name}: {words}")

    def test_targets(self) -> None:
        """Each target of make is there."""
        targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
        for name in DOCUMENTS:
            named = re.findall(r"(?:^    |`|^)make ([a-z][\w-]*)", text_of(name), re.MULTILINE)
            self.assertLessEqual(set(named), targets, name)

    def test_files_of_clients(self) -> None:
        """The files for clients in both READMEs are those that client-config makes."""
        set_up = SetUp(locate_registries(SERVED))
        for name in READMES:
            for tool, language in (("docker", "json"), ("containerd", "toml")):
                made = files(guide_for(tool, set_up)).values()
                plain = [text.removeprefix(f"{MARK}\n").lstrip("\n") for text in made]
                (shown,) = blocks(name, language)
                self.assertIn(shown, plain)

    def test_files_parse(self) -> None:
        """JSON and TOML are what they say."""
        for name in GUIDES:
            for block in blocks(name, "json"):
                json.loads(block)
            for block in blocks(name, "toml"):
                tomllib.loads(block)

    def test_links(self) -> None:
        """Each link within the checkout leads to a file that is there, and to a head in it."""
        for name in DOCUMENTS:
            for pair in _LINK.findall(text_of(name)):
                link = pair[0] or pair[1]
                if link.startswith("http"):
                    continue
                path, _, anchor = link.partition("#")
                target = (CHECKOUT / name).parent / path if path else CHECKOUT / name
                self.assertTrue(target.exists(), (name, link))
                if anchor:
                    inner = str(target.resolve().relative_to(CHECKOUT.resolve()))
                    self.assertIn(anchor, anchors(inner), name)

    def test_files_of_the_checkout(self) -> None:
        """Each file of etc/ and debian/ that is named is there."""
        for name in DOCUMENTS:
            for path in re.findall(r"(?<![\w/.])((?:etc|debian)/[\w./-]*\w)", text_of(name)):
                self.assertTrue((CHECKOUT / path).exists(), (name, path))

    def test_the_same_in_both_languages(self) -> None:
        """Both READMEs have the same blocks, in the same order, but for comments."""
        first, second = (
            [
                (language, re.sub(r"(?m)\s*#.*$", "", body).strip())
                for language, body in _FENCED.findall(text_of(name))
            ]
            for name in READMES
        )
        self.assertEqual(first, second)
