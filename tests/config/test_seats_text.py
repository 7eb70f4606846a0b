"""Changes of a file of seats: what is meant, and nothing else."""

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.config.seats_file import SeatsError, parse_seats
from regcache.config.seats_text import REMOVED, ItemAdded, changed_text, flow

HASH = "$2b$04$" + 53 * "."
ONE, TWO = (f"sha256:{sign * 64}" for sign in "ab")

FILE = f"""\
# Plätze
"*": {{downloads: 8}}   # for all

alice:   # pays
    password: "{HASH}"
    # her keys
    keys:
    - {ONE}   # ci
    daily: 20GiB   # paid
    note: "é"

# on one line
bob: {{daily: 1GiB, note: x}}  # bob
carol:
"""


class ChangeTests(SynchronousTestCase):
    """What becomes of a text."""

    def change(self, name: str, text: str = FILE, **changes: Any) -> str:
        """The text with a changed seat."""
        return changed_text(text, "seats.yml", name, changes)

    def test_value(self) -> None:
        """Another value takes the place of the former one; the comment behind it stays."""
        found = self.change("alice", daily="30GiB")
        self.assertEqual(found, FILE.replace("daily: 20GiB", "daily: 30GiB"))

    def test_nothing_is_a_value(self) -> None:
        """No limit is written, a key that goes leaves the default."""
        self.assertIn("daily: null   # paid", self.change("alice", daily=None))
        found = self.change("alice", daily=REMOVED)
        self.assertEqual(found, FILE.replace("    daily: 20GiB   # paid\n", ""))
        self.assertEqual(self.change("alice", rate=REMOVED), FILE)

    def test_new_key(self) -> None:
        """A new key stands behind the last one of its seat, indented as that is."""
        found = self.change("alice", host="k3j9x2fq7m", until="2027-01-31")
        further = '    note: "é"\n    until: 2027-01-31\n    host: k3j9x2fq7m\n'
        self.assertIn(further.replace("host", "host"), _sorted(found, further))

    def test_item(self) -> None:
        """A key that is added stands behind the others, and is written as they are."""
        item = {"key": TWO, "name": "laptop", "until": "2027-01-31"}
        found = self.change("alice", keys=ItemAdded(item))
        line = f'    - {{key: "{TWO}", name: laptop, until: 2027-01-31}}\n'
        self.assertEqual(found, FILE.replace("   # ci\n", f"   # ci\n{line}"))
        again = self.change("bob", self.change("bob", keys=ItemAdded(ONE)), keys=ItemAdded(TWO))
        self.assertIn(f'keys: ["{ONE}", "{TWO}"]}}  # bob', again)

    def test_empty_seat(self) -> None:
        """A seat without a key gets its first ones."""
        found = self.change("carol", note="no")
        self.assertEqual(found, FILE + '  note: "no"\n')

    def test_new_seat(self) -> None:
        """A new seat stands at the end, also behind a line without an end, or in an empty file."""
        self.assertEqual(self.change("dora", rate="5MiB"), FILE + "dora:\n  rate: 5MiB\n")
        self.assertEqual(self.change("no", text="a:"), 'a:\n"no": {}\n')
        self.assertEqual(self.change("x", text="# nobody"), "# nobody\nx: {}\n")

    def test_wrong_values(self) -> None:
        """A value that is wrong changes nothing, and is said with its key."""
        with self.assertRaises(SeatsError) as caught:
            self.change("alice", host="A-B")
        self.assertIn("alice.host: must be 6 to 40 letters", str(caught.exception))

    def test_conflict(self) -> None:
        """Nor does one that another seat has."""
        text = "a: {host: abcdef}\nb:\n"
        self.assertRaises(SeatsError, self.change, "b", text, host="abcdef")

    def test_wrong_file(self) -> None:
        """A file that cannot be used is not changed."""
        self.assertRaises(SeatsError, self.change, "b", "a: {hst: x}\n", note="x")

    def test_unusual_ways(self) -> None:
        """However a file is written, what is meant is what is read, or it is refused."""
        for text in (
            "alice: {note: x, \n  daily: 1GiB}\n",
            "alice:\n  note: >-\n    folded\n    text\n\n  daily: 1GiB\n",
            "'alice':\n  'note': 'it''s'\n  keys: [\n    " + ONE + ", # one\n  ]\n",
            "alice:\r\n  note: x\r\n  daily: 1GiB\r\nbob:\r\n",
            "---\nalice:\n  note: x # y",
            "{alice: {note: x}, bob: {}}\n",
            "alice:\n  keys:\n  -\n    key: " + ONE + "\n    name: ci\n  # last\n",
        ):
            changes = {"note": "other", "keys": ItemAdded(TWO), "monthly": "1TiB"}
            try:
                found = changed_text(text, "seats.yml", "alice", changes)
            except SeatsError:
                self.assertTrue(text.startswith("{"), text)
                continue
            alice = parse_seats(found, "seats.yml")["alice"]
            self.assertEqual((alice.note, alice.monthly), ("other", 1024**4), text)
            self.assertEqual(alice.keys[-1].digest, TWO.removeprefix("sha256:"), text)


def _sorted(text: str, like: str) -> str:
    """The order of two new keys does not matter."""
    lines = like.splitlines(keepends=True)
    swapped = "".join([lines[0], lines[2], lines[1]])
    return text.replace(swapped, like)


class AnyTests(SynchronousTestCase):
    """Checks that any text is read as it was before it was written."""

    @settings(max_examples=100)
    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
    def test_texts(self, text: str) -> None:
        """Any text on one line is one value of YAML."""
        self.assertEqual(yaml.safe_load(f"a: {flow([text])}")["a"], [text])

    @settings(max_examples=20, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["alice", "bob", "carol", "dora", "eve"]),
                st.dictionaries(
                    st.sampled_from(["note", "daily", "rate", "keys", "until"]),
                    st.integers(0, 3),
                    min_size=1,
                ),
            ),
            max_size=8,
        )
    )
    def test_any_changes(self, steps: list[tuple[str, dict[str, int]]]) -> None:
        """After any changes, one after the other, comments between seats are there."""
        values: dict[str, list[Any]] = {
            "note": ["x: y", "# z", REMOVED, "- a"],
            "daily": [None, "1GiB", REMOVED, "2GiB"],
            "rate": ["5MiB", REMOVED, None, "1B"],
            "keys": [[ONE], REMOVED, [], [ONE, {"key": TWO, "name": "n"}]],
            "until": ["2027-01-31", REMOVED, None, "2026-12-24"],
        }
        text = FILE
        for name, chosen in steps:
            changes = {key: values[key][number] for key, number in chosen.items()}
            text = changed_text(text, "seats.yml", name, changes)
        for comment in ("# Plätze", "# for all", "# on one line", "# pays"):
            self.assertIn(comment, text)
        parse_seats(text, "seats.yml")
