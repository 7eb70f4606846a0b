"""Tests for regcachectl seat."""

import io
import sys
from typing import Any

from regcache.admin.api.seat_calls import (
    END_SEAT,
    GET_SEATS,
    POST_SEATS,
    SEAT_KEY,
)
from regcache.ctl import seat_commands as commands
from tests.ctl.cases import CommandCase

HASH = "sha256:" + "a" * 64


def seat(**more: Any) -> dict[str, Any]:
    """A seat, as the API has it."""
    nothing = {"daily_bytes": None, "monthly_bytes": None}
    return {
        "name": "alice", "password": True, "keys": [{"key": HASH, "name": "ci", "until": None}],
        "knock": True, "certificates": [HASH], "host": True, "until": "2027-01-31", "ended": None,
        "has_ended": False, "daily": 1024, "monthly": None, "rate": 2048, "downloads": 8,
        "upstreams": None, "note": "paid", "used": {"daily_bytes": 512, "monthly_bytes": 1024},
        "left": nothing, "addresses": [], **more,
    }  # fmt: skip


def made(**more: Any) -> dict[str, Any]:
    """The answer to a change."""
    return {
        "seat": seat(), "created": False, "page": "the page\n", "password": None, "key": None,
        "certificate": None, "host": None, "link": None, "warnings": [], **more,
    }  # fmt: skip


class SeatTests(CommandCase):
    """What is asked and printed."""

    def test_list(self) -> None:
        """Each seat with what it used, and by what it is known."""
        self.daemon.answer(GET_SEATS, {"items": [seat()], "next": None, "total": 1})
        _, out, _ = self.run_work(commands.list_seats, "seat", "list")
        known = "password key certificate host link"
        row = ["alice", "2027-01-31", "512 B of 1.0 KiB", "1.0 KiB", "2.0 KiB/s", known, "paid"]
        self.assertEqual(out, "\t".join(row) + "\n")

    def test_add(self) -> None:
        """The page is printed, and what is odd beside it."""
        answer = made(created=True, password="word", warnings=["odd"])
        self.daemon.answer(POST_SEATS, answer)
        arguments = ["seat", "add", "alice", "--host", "--knock", "--daily", "20GiB", "--note", "x"]
        status, out, errors = self.run_work(commands.add_seat, *arguments)
        self.assertEqual((status, out, errors), (0, "the page\n", "look: odd\n"))
        wanted = {"name": "alice", "daily": "20GiB", "note": "x", "new": True}
        self.assertEqual(
            self.daemon.asked, [("POST", "seats", {**wanted, "make": ["password", "host", "link"]})]
        )

    def test_own_password(self) -> None:
        """A password may come on standard input."""
        self.daemon.answer(POST_SEATS, made(created=True))
        self.patch(sys, "stdin", io.StringIO("word\n"))
        self.run_work(commands.add_seat, "seat", "add", "alice", "--password-stdin")
        self.assertEqual(self.daemon.asked[0][2]["password"], "word")
        self.assertEqual(self.daemon.asked[0][2]["make"], [])

    def test_change(self) -> None:
        """What is named is changed; none takes a limit away."""
        self.daemon.answer(POST_SEATS, made())
        arguments = ["--rate", "none", "--downloads", "3", "--upstreams", "docker.io, ghcr.io"]
        _, out, _ = self.run_work(commands.change_seat, "seat", "change", "alice", *arguments)
        body = self.daemon.asked[0][2]
        self.assertEqual((body["rate"], body["downloads"]), (None, 3))
        self.assertEqual(body["upstreams"], ["docker.io", "ghcr.io"])
        self.assertEqual(out, "alice was changed\n")

    def test_remove(self) -> None:
        """A key goes by its name, a certificate by its fingerprint, however that is written."""
        self.daemon.answer(GET_SEATS, {"items": [seat()], "next": None, "total": 1})
        self.daemon.answer(POST_SEATS, made())
        fingerprint = ":".join(["AA"] * 32)
        arguments = ["--remove-key", "ci", "--remove-certificate", fingerprint]
        self.run_work(commands.change_seat, "seat", "change", "alice", *arguments)
        body = self.daemon.asked[-1][2]
        self.assertEqual((body["keys"], body["certificates"]), ([], []))
        for wrong in (["--remove-key", "other"], ["--remove-certificate", "ab"]):
            status, _, errors = self.run_work(
                commands.change_seat, "seat", "change", "alice", *wrong
            )
            self.assertEqual(status, 2)
            self.assertIn("it has no such", errors)

    def test_nothing(self) -> None:
        """Nothing to change is wrong usage."""
        status, _, _ = self.run_work(commands.change_seat, "seat", "change", "alice")
        self.assertEqual((status, self.daemon.asked), (2, []))

    def test_end(self) -> None:
        """That it has ended is said."""
        self.daemon.answer(END_SEAT, made(seat=seat(has_ended=True)))
        _, out, _ = self.run_work(commands.end_seat, "seat", "end", "alice")
        self.assertEqual(out, "alice has ended\n")

    def test_key(self) -> None:
        """A key is made, for something and to some day."""
        self.daemon.answer(SEAT_KEY, made(key="rc_x"))
        options = self.options(
            "seat", "key", "alice", "--key-name", "ci", "--key-until", "2027-01-31"
        )
        self.assertEqual(options.key_name, "ci")
        work = commands.maker("key")
        arguments = ["seat", "key", "alice", "--key-name", "ci", "--key-until", "2027-01-31"]
        _, out, _ = self.run_work(work, *arguments)
        body = {"name": "alice", "key_name": "ci", "key_until": "2027-01-31"}
        self.assertEqual(self.daemon.asked, [("POST", "seats/key", body)])
        self.assertEqual(out, "the page\n")
