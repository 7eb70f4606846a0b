"""Tests for regcache.config.document."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.document import Node, parse_document
from regcache.config.problems import Problems
from tests.config.helpers import errors

YAML_TRAPS = [
    "no",
    "yes",
    "on",
    "Off",
    "0123",
    "0x1F",
    "1_000",
    "1:30",
    "190:20:30",
    "0b11",
    "0o7x",
]


def parse(text: str) -> tuple[Node, list[str]]:
    """The tree and the errors of a text."""
    problems = Problems("f")
    return parse_document(text, problems), problems.errors


class ScalarTests(SynchronousTestCase):
    """Tests for what a scalar means."""

    def test_plain_scalars(self) -> None:
        """Booleans, decimal numbers, null and everything else mean what they look like."""
        table = {
            "true": ("boolean", True),
            "False": ("boolean", False),
            "0": ("number", 0),
            "-7": ("number", -7),
            "12": ("number", 12),
            "~": ("null", None),
            "null": ("null", None),
            "'12'": ("text", "12"),
            '"no"': ("text", "no"),
            "8.8.8.8": ("text", "8.8.8.8"),
            "1.5": ("fraction", "1.5"),
            "2001:db8::1": ("text", "2001:db8::1"),
            "2024-01-01": ("text", "2024-01-01"),
            "TLSv1.2": ("text", "TLSv1.2"),
        }
        for text, expected in table.items():
            node, faults = parse(f"a: {text}")
            self.assertEqual(faults, [], text)
            child = node.value["a"]
            self.assertEqual((child.kind, child.value), expected, text)

    def test_ambiguous_scalars_are_refused(self) -> None:
        """Plain words that YAML 1.1 takes for booleans and odd numbers are errors."""
        for text in YAML_TRAPS[:-1]:
            node, faults = parse(f"a:\n  b: {text}\n")
            self.assertEqual(node.value["a"].value["b"].kind, "bad", text)
            self.assertEqual(len(faults), 1, text)
            self.assertIn("f:2: a.b: YAML readers disagree on", faults[0])
            self.assertIn("quote it", faults[0])
        self.assertEqual(parse(f"a: {YAML_TRAPS[-1]}")[1], [])

    def test_a_password_is_not_repeated(self) -> None:
        """The message for an ambiguous password does not hold the password."""
        _, faults = parse("password: 0123")
        self.assertEqual(len(faults), 1)
        self.assertNotIn("0123", faults[0])


class StructureTests(SynchronousTestCase):
    """Tests for mappings, lists and what is refused in them."""

    def test_lines(self) -> None:
        """Scalars and items have their own line, sections and lists that of their key."""
        node, _ = parse("a:\n  - x\n  - y\nb:\n  c:\n    1\n")
        a, b = node.value["a"], node.value["b"]
        self.assertEqual([a.line, *(item.line for item in a.value)], [1, 2, 3])
        self.assertEqual((b.line, b.value["c"].line), (4, 6))
        self.assertEqual(b.value["c"].path, ("b", "c"))

    def test_duplicate_key(self) -> None:
        """A key that comes twice is an error on the second line; the first stays."""
        node, faults = parse("a: 1\nb: 2\na: 3\n")
        self.assertEqual(faults, ["f:3: a: duplicate key, first on line 1"])
        self.assertEqual(node.value["a"].value, 1)

    def test_anchors_aliases_and_tags(self) -> None:
        """Anchors, aliases and tags are errors, each on its line."""
        _, faults = parse("a: &x 1\nb: *x\nc: !!python/name:os.system y\n")
        self.assertEqual([line.split(":")[1] for line in faults], ["1", "2", "3"])
        self.assertIn("anchors", faults[0])
        self.assertIn("aliases", faults[1])
        self.assertIn("tags", faults[2])

    def test_unquoted_wildcard(self) -> None:
        """An unquoted wildcard is an error that names the key and says to quote it."""
        _, faults = parse("upstreams:\n  docker.io:\n    hosts: [*.example.com]\n")
        self.assertEqual(len(faults), 1)
        self.assertTrue(faults[0].startswith("f:3: upstreams.docker.io.hosts: "), faults[0])
        self.assertIn("quote it", faults[0])

    def test_other_syntax_errors(self) -> None:
        """What is no YAML is one error on the right line."""
        table = {
            "a: 1\nb: [1\n": 3,
            "a: 1\n\tb: 2\n": 2,
            "a: %x\n": 1,
            "a: !x!y z\n": 1,
            "a: b: c\n": 1,
            'a: "\\UFFFFFFFF"\n': 1,
            "a: 1\nb: \x07\n": 2,
            "a: 1\n---\nb: 2\n": 2,
        }
        for text, line in table.items():
            _, faults = parse(text)
            self.assertEqual([fault.split(":")[1] for fault in faults], [str(line)], text)

    def test_empty_documents(self) -> None:
        """Nothing at all, and comments alone, are an empty document."""
        for text in ("", "\n# only a comment\n", "---\n"):
            self.assertEqual(parse(text)[0].kind, "null")

    def test_depth_and_number_are_bounded(self) -> None:
        """A file that is nested without end or holds too many values is one error."""
        for text in ("[" * 5000, "{" * 5000, "- " * 5000):
            self.assertIn("nested too deeply", parse(text)[1][0])
        self.assertIn("more than 50000 values", parse("a: [" + "1," * 60000 + "]")[1][0])

    def test_a_complex_key(self) -> None:
        """A list or a mapping as a key is an error."""
        self.assertEqual(errors("? [a, b]\n: 1\n"), ["1: a key must be a plain word"])
