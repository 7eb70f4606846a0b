"""Tests for regcache.config.keys, and that every key of the schema is stated whole."""

from dataclasses import dataclass
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regcache.config.document import parse_document
from regcache.config.keys import REQUIRED, key_field, section
from regcache.config.problems import Problems
from regcache.config.reading import INVALID, Context
from regcache.config.scalars import boolean, text, whole_number
from regcache.config.value_types import OMITTED, ListOf, Nullable, ValueType
from tests.config.schema_walk import every_key, walk


@dataclass(frozen=True)
class Pet:
    """A section."""

    name: str = key_field(text(), "What it is called.")
    legs: int = key_field(whole_number(0, 8), "How many it has.", default=4)
    owner: str | None = key_field(Nullable(text()), "Whose it is.", default=None, secret=True)
    tame: bool = key_field(boolean(), "Whether it bites.", default=True)
    tricks: tuple[str, ...] = key_field(ListOf(text(), minimum=1), "What it can.", default=())
    age: int = 0


def read(type: ValueType[Any], written: str) -> tuple[Any, list[str]]:
    """What a type makes of a text, and its errors."""
    problems = Problems("f")
    value = type.read(parse_document(written, problems), Context(problems, {}, "/"))
    return value, problems.errors


class SectionTests(SynchronousTestCase):
    """A section that a dataclass describes."""

    def test_keys(self) -> None:
        """The keys are the fields that were stated as such, in their order."""
        pet = section(Pet)
        self.assertEqual(list(pet.keys), ["name", "legs", "owner", "tame", "tricks"])
        self.assertEqual(pet.required, ["name"])
        self.assertEqual(pet.keys["legs"].text, "How many it has.")

    def test_read(self) -> None:
        """What is not set has its default; what is wrong is named, and what is missing."""
        self.assertEqual(read(section(Pet), "{name: Rex, tame: false}")[0], Pet("Rex", tame=False))
        value, errors = read(section(Pet), "{legs: 9, colour: red}")
        self.assertIs(value, INVALID)
        self.assertEqual(len(errors), 3, errors)

    def test_written(self) -> None:
        """What is written is what was read; a list that may not be empty is left out."""
        rex = Pet("Rex", owner="me")
        written = section(Pet).write(rex)
        self.assertEqual(written, {"name": "Rex", "legs": 4, "owner": "me", "tame": True})
        self.assertEqual(read(section(Pet), yaml.safe_dump(written)), (rex, []))

    def test_secret(self) -> None:
        """A secret is in no repr."""
        self.assertNotIn("s3cret", repr(Pet("Rex", owner="s3cret")))


class SchemaTests(SynchronousTestCase):
    """All keys of the configuration."""

    def test_whole(self) -> None:
        """The keys of every depth are found."""
        found = every_key()
        for path in (
            "domain",
            "listeners.*.tls.certificates.*.chain",
            "upstreams.*.urls.*.ns",
            "upstreams.*.tag_ttl.*.ttl",
            "access.rules.*.accounts",
            "access.token.keys_file",
            "limits.drain",
        ):
            self.assertIn(path, found)

    def test_text(self) -> None:
        """Each key says what it does, in sentences."""
        for path, key in walk():
            self.assertRegex(key.text, r"\A[A-Z`\"'].*\.\Z", path)
            self.assertNotIn("|", key.text + key.type.kind, path)

    def test_defaults(self) -> None:
        """Each default is written in a form that reads back as the same."""
        for path, key in walk():
            if key.default is REQUIRED or key.usually:
                continue
            written = key.type.write(key.default)
            if written is not OMITTED and key.default is not None:
                value, errors = read(key.type, yaml.safe_dump(written))
                self.assertEqual((value, errors), (key.default, []), path)

    def test_examples(self) -> None:
        """Each example is one that could stand there, but that its files need not exist."""
        for path, key in walk():
            if not key.example:
                continue
            variables = key.example.startswith("${")
            value, errors = read(key.type, "x" if variables else key.example)
            wrong = [line for line in errors if "cannot be read: No such" not in line]
            self.assertEqual(wrong, [], path)
            self.assertNotEqual(value, key.default, path)
