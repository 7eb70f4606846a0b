"""The file of seats: what it says, and what is wrong with it."""

from datetime import UTC, date, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.config import seats_file
from regcache.config.document import Node, parse_document
from regcache.config.seats_file import SeatsError, parse_seats, read_seats
from regcache.seats import RobotKey, Seat

HASH = "$2b$04$" + 53 * "."
ONE, TWO, THREE = (sign * 64 for sign in "abc")

WHOLE = f"""\
"*": {{downloads: 8, rate: null, daily: 20GiB, monthly: null}}  # for all
# the first one
alice:
  password: "{HASH}"
  keys: ["sha256:{ONE}", {{key: "sha256:{TWO}", name: ci, until: 2027-01-31}}]
  knock: "sha256:{THREE}"
  certificates:
    - sha256:{ONE}
  host: k3j9x2fq7m
  until: 2027-01-31
  daily: null
  monthly: 1TB
  rate: 5MiB
  upstreams: [docker.io, ghcr.io]
  note: "paid to ${{MONTH}}"
bob: {{ended: 2026-11-30T10:00:00Z, downloads: 2}}
carol:
"""


def problems(text: str) -> list[str]:
    """What is wrong with a text."""
    try:
        parse_seats(text, "seats.yml")
    except SeatsError as error:
        return error.lines
    return []


class ReadTests(SynchronousTestCase):
    """Files that can be used."""

    def test_one_thread(self) -> None:
        """Of threads that ask at once one reads, and the others wait for what it finds."""
        alone = []

        def parse(*args: Any, **options: Any) -> Node:
            alone.append(seats_file._one_at_a_time.locked())
            return parse_document(*args, **options)

        self.patch(seats_file, "parse_document", parse)
        for _ in range(2):
            parse_seats("asked-for-twice: {}", "seats.yml")
        self.assertEqual(alone, [True])

    def test_whole(self) -> None:
        """All keys are read, and limits that a seat does not state are the defaults."""
        seats = parse_seats(WHOLE, "seats.yml")
        alice = Seat(
            name="alice",
            password=HASH.encode(),
            keys=(RobotKey(ONE), RobotKey(TWO, "ci", date(2027, 1, 31))),
            knock=THREE,
            certificates=(ONE,),
            host="k3j9x2fq7m",
            until=date(2027, 1, 31),
            monthly=10**12,
            rate=5 * 1024**2,
            downloads=8,
            upstreams=("docker.io", "ghcr.io"),
            note="paid to ${MONTH}",
        )
        ended = datetime(2026, 11, 30, 10, tzinfo=UTC)
        daily = 20 * 1024**3
        bob = Seat(name="bob", ended=ended, downloads=2, daily=daily)
        carol = Seat(name="carol", downloads=8, daily=daily)
        self.assertEqual(seats, {"alice": alice, "bob": bob, "carol": carol})

    def test_nothing(self) -> None:
        """A file without a seat is one."""
        for text in ("", "# nobody yet\n", '"*": {downloads: 8}\n', "\ufeff"):
            self.assertEqual(read_seats(text.encode(), "seats.yml"), {}, text)

    def test_end(self) -> None:
        """A seat lasts to the end of its last day, in local time, unless it was ended before."""
        day = parse_seats("a: {until: 2027-01-31}", "")["a"]
        end = datetime(2027, 2, 1).timestamp()
        self.assertEqual(day.end, end)
        self.assertFalse(day.has_ended(end - 1))
        self.assertTrue(day.has_ended(end))
        both = parse_seats("a: {until: 2027-01-31, ended: 2026-12-01T00:00:00Z}", "")["a"]
        self.assertEqual(both.end, datetime(2026, 12, 1, tzinfo=UTC).timestamp())
        self.assertIsNone(parse_seats("a: {until: 9999-12-31}", "")["a"].end)

    def test_secrets_are_not_shown(self) -> None:
        """No secret is in the text of a seat that somebody prints."""
        shown = repr(parse_seats(WHOLE, "seats.yml")["alice"])
        for secret in (HASH, TWO, THREE, "k3j9x2fq7m"):
            self.assertNotIn(secret, shown)


class WrongTests(SynchronousTestCase):
    """Files that cannot be used: each fault with its line and what to change."""

    def test_faults(self) -> None:
        """Each fault is said with file, line and key."""
        digest = "must be sha256: and 64 hexadecimal digits in lower case"
        cases = {
            "alice:\n  pasword: x": "2: alice.pasword: unknown key; is password meant?",
            "alice:\n  password: secret": "2: alice.password: is no bcrypt hash; make a password"
            " with: regcachectl seat change",
            "alice:\n  keys: [abc]": f"2: alice.keys[0]: {digest}",
            f"alice:\n  keys: [{{key: 'sha256:{ONE}', until: never}}]": "2: alice.keys[0].until:"
            " must be a day such as 2027-01-31",
            "alice:\n  until: 31.1.2027": "2: alice.until: must be a day such as 2027-01-31",
            "alice:\n  ended: yesterday": "2: alice.ended: must be a time such as"
            " 2027-01-31T18:30:00Z",
            "alice:\n  daily: 20": "2: alice.daily: a size needs a unit: B, KiB, MiB, GiB or TiB,"
            " as in 50GiB",
            "alice:\n  downloads: 0": "2: alice.downloads: must be from 1 to 10000",
            "alice:\n  host: a-b": "2: alice.host: must be 6 to 40 letters and digits, in lower"
            " case",
            "alice:\n  upstreams: []": "2: alice.upstreams: may not be empty",
            "alice: 3": "1: alice: expected a section of keys, got a number",
            "alice:\nalice:": "2: alice: duplicate key, first on line 1",
            "anonymous:": "1: 'anonymous' cannot be the name of an account",
            "a b:": "1: 'a b' cannot be the name of an account",
            "a: {host: abcdef}\nb: {host: abcdef}": "2: b.host: is the one of a, on line 1: each"
            " must be of one seat only",
            "- alice": "1: must be names of seats, each with a colon",
            '"*": {note: x}': "1: *.note: unknown key",
            "alice: [": "1: alice: not valid YAML: expected the node content, but found"
            " '<stream end>'",
        }
        for text, found in cases.items():
            self.assertEqual(problems(text), [f"seats.yml:{found}"], text)

    def test_several(self) -> None:
        """All are found at once; the text of the error has the first and how many more."""
        with self.assertRaises(SeatsError) as caught:
            parse_seats("a: {daily: 1}\nb: {daily: 1}\nc: {daily: 1}", "f")
        self.assertEqual(len(caught.exception.lines), 3)
        self.assertIn("f:1: a.daily", str(caught.exception))
        self.assertTrue(str(caught.exception).endswith("(and 2 more)"))

    def test_bytes(self) -> None:
        """What is no UTF-8 is said with its line."""
        with self.assertRaises(SeatsError) as caught:
            read_seats(b"a:\n  note: \xff", "f")
        self.assertEqual(caught.exception.lines, ["f:2: is not UTF-8"])

    def test_no_secret_in_a_fault(self) -> None:
        """No fault repeats what stands in the place of a secret."""
        for text in (
            "a: {password: hunter22}",
            "a: {keys: [hunter22]}",
            "a: {knock: hunter22}",
            "a: {host: Hunter22}",
            "a: {host: hunter22}\nb: {host: hunter22}",
        ):
            self.assertNotIn("unter22", "".join(problems(text)), text)

    def test_too_much(self) -> None:
        """A file that nests or repeats without end is refused."""
        self.assertIn("nested too deeply", "".join(problems("a: " + "[" * 30)))
        self.patch(seats_file, "MOST_VALUES", 1000)
        self.assertIn("more than 1000 values", "".join(problems(f"a: {{keys: [{'1,' * 1000}]}}")))
