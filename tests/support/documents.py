"""What people read, and what they are to type or to copy from it."""

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.processes import CHECKOUT

READMES = ("README.md", "README.zh-CN.md")
#: All documents with something to type or to copy.
GUIDES = (
    *READMES,
    "SECURITY.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "docs").glob("*.md")),
)
#: All that people read; their links are looked at.
DOCUMENTS = (*GUIDES, "CHANGELOG.md")

_FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:\A|\n)\n((?:    .*\n)+)")
_SYMPTOM = re.compile(r"^\| [^|]+ \| [^|]+ \| (.+) \|$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
#: What ends a command, and what redirects its output.
_BETWEEN = {"|", "||", "&&", ";", "&"}


class Block(NamedTuple):
    """A part of a document that is to be typed or copied.

    :ivar before: what stands before it in the document.
    """

    document: str
    language: str
    text: str
    before: str = ""


class Command(NamedTuple):
    """A program and its arguments, as they are typed."""

    document: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """Its name, without a folder."""
        return self.words[0].rpartition("/")[2]

    @property
    def options(self) -> list[str]:
        """Those that begin with a hyphen, without their values."""
        return [
            word.partition("=")[0]
            for word in self.words[1:]
            if word.startswith("-") and word.strip("-")
        ]


def text_of(name: str) -> str:
    """A document."""
    return (CHECKOUT / name).read_text(encoding="utf-8")


def without_blocks(name: str) -> str:
    """A document without what is to be typed or copied."""
    return _FENCED.sub("", text_of(name))


def blocks_of(name: str) -> list[Block]:
    """All of a document."""
    text = text_of(name)
    return [
        Block(name, found[1].strip(), found[2], text[: found.start()])
        for found in _FENCED.finditer(text)
    ]


def all_blocks(*languages: str) -> list[Block]:
    """Those of all documents in these languages."""
    return [each for name in GUIDES for each in blocks_of(name) if each.language in languages]


def indented_blocks(name: str) -> list[str]:
    """What is to be typed or copied, and does not say in which language it is."""
    return [found for found in _INDENTED.findall(without_blocks(name)) if found.strip()]


def commands_of(name: str) -> list[Command]:
    """All that is to be typed by a document."""
    text = "".join(each.text for each in blocks_of(name) if each.language == "sh")
    return [each for line in _lines(text) for each in typed(name, line)]


def remedies(name: str) -> list[Command]:
    """What the table "By symptom" has as code in its last column."""
    _, _, section = text_of(name).partition("\n## By symptom\n")
    rows = _SYMPTOM.findall(section.partition("\n## ")[0])
    found = [code for cell in rows for code in _CODE.findall(cell)]
    return [each for code in found for each in typed(name, code.replace("\\|", "|"))]


def typed(name: str, line: str) -> list[Command]:
    """The commands of a line, which is in a file of this name."""
    return [Command(name, words) for words in _split(line)]


def _lines(text: str) -> list[str]:
    return text.replace("\\\n", " ").splitlines()


def _split(line: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _BETWEEN:
            words.append(word)
            continue
        if plain := _plain(words):
            yield plain
        words = []


def _plain(words: list[str]) -> tuple[str, ...]:
    """Without what comes before the program."""
    while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
        del words[0]
    return tuple(words)


def lines_without_comments(text: str) -> list[str]:
    """The lines of a file, without what is said beside it."""
    plain = [line.strip() for line in text.splitlines()]
    return [line for line in plain if line and not line.startswith("#")]
