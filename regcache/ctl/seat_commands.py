"""``regcachectl seat``: accounts with limits."""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, USAGE, add_daemon_parser
from regcache.ctl.printer import Printer, size_text

#: What can be made with a new seat, and alone; by option and command.
_MADE = {
    "key": "a robot key, which takes the place of the password",
    "certificate": "a client certificate",
    "host": "a host name of its own, for pulls",
    "link": "a link that lets an address pull (access.knock)",
}
_NONE = ("none", "null")


def add_parser(commands: Any) -> None:
    """Add this command, and what belongs to it."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "seat",
        help="accounts with limits: list, add, change, end them",
        description="Accounts with limits (access.seats): list, add, change and end them.",
        epilog="example: regcachectl seat add alice --daily 20GiB",
    )
    seats = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_daemon_parser(
        seats,
        "list",
        list_seats,
        help="list the seats and what they used",
        example="regcachectl seat list",
    )
    _add_changing_parsers(seats)
    end = add_daemon_parser(
        seats, "end", end_seat, help="end a seat now", example="regcachectl seat end alice"
    )
    end.add_argument("name", metavar="NAME")
    for what, words in _MADE.items():
        made = add_daemon_parser(
            seats,
            what,
            maker(what),
            help=f"give a seat {words}",
            example=f"regcachectl seat {what} alice",
        )
        made.add_argument("name", metavar="NAME")
        _add_making_options(made, what)


def _add_changing_parsers(seats: Any) -> None:
    add = add_daemon_parser(
        seats,
        "add",
        add_seat,
        help="add a seat; print a page that is ready to be sent to its person",
        example="regcachectl seat add alice --certificate --daily 20GiB --until 2027-01-31",
    )
    change = add_daemon_parser(
        seats,
        "change",
        change_seat,
        help="change what a seat has; 'none' takes a limit away",
        example="regcachectl seat change alice --rate 5MiB --until none",
    )
    for parser, is_new in ((add, True), (change, False)):
        _add_changing_options(parser, is_new)


def _add_changing_options(parser: argparse.ArgumentParser, is_new: bool) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--until", metavar="DAY", help="its last day")
    for key, what in (("daily", "a day"), ("monthly", "a month"), ("rate", "a second")):
        parser.add_argument(f"--{key}", metavar="SIZE", help=f"bytes {what}, such as 20GiB")
    parser.add_argument("--downloads", metavar="COUNT", help="blobs at once")
    parser.add_argument("--upstreams", metavar="NAMES", help="the only ones, with commas")
    parser.add_argument("--note", help="a note for administrators")
    parser.add_argument(
        "--password-stdin", action="store_true", help="its password is the line of standard input"
    )
    if is_new:
        parser.add_argument("--no-password", action="store_true", help="make it no password")
        for what, words in _MADE.items():
            option = "knock" if what == "link" else what  # --link is for --url
            parser.add_argument(f"--{option}", dest=f"make_{what}", action="store_true", help=words)
    else:
        parser.add_argument("--password", action="store_true", help="make it a new password")
        parser.add_argument("--reopen", action="store_true", help="take its end back")
        parser.add_argument("--remove-key", metavar="KEY", help="by its name, or its hash")
        parser.add_argument("--remove-certificate", metavar="FINGERPRINT", help="revoke it")
        parser.add_argument("--remove-host", action="store_true", help="it has no host then")
        parser.add_argument("--remove-link", action="store_true", help="its addresses end, too")
    _add_making_options(parser, "")


def _add_making_options(parser: argparse.ArgumentParser, what: str) -> None:
    if what in ("", "key"):
        parser.add_argument("--key-name", metavar="TEXT", help="what the new key is for")
        parser.add_argument("--key-until", metavar="DAY", help="the last day of the new key")
    if what in ("", "certificate"):
        parser.add_argument("--days", type=int, help="how long the certificate is good")


async def list_seats(_: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """List all seats."""
    told = await daemon.get("seats")
    if printer.as_json:
        printer.json(told)
        return DONE
    rows = [
        (
            each["name"],
            "ended" if each["has_ended"] else each["until"] or "",
            _of(each, "daily"),
            _of(each, "monthly"),
            "" if each["rate"] is None else f"{size_text(each['rate'])}/s",
            " ".join(_identities(each)),
            each["note"],
        )
        for each in told["items"]
    ]
    columns = ("seat", "until", "today", "month", "rate", "known by", "note")
    printer.table(columns, rows)
    return DONE


def _of(seat: Mapping[str, Any], period: str) -> str:
    used = size_text(seat["used"][f"{period}_bytes"])
    return used if seat[period] is None else f"{used} of {size_text(seat[period])}"


def _identities(seat: Mapping[str, Any]) -> list[str]:
    counts = {"key": len(seat["keys"]), "certificate": len(seat["certificates"])}
    found = ["password"] if seat["password"] else []
    found += [f"{name}*{count}" if count > 1 else name for name, count in counts.items() if count]
    found += [name for name, key in (("host", "host"), ("link", "knock")) if seat[key]]
    return found


async def add_seat(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Add one, and print the page for its person."""
    try:
        body = _values(options)
    except ValueError as error:
        printer.error(str(error))
        return USAGE
    make = [what for what in _MADE if getattr(options, f"make_{what}")]
    if not (options.no_password or options.password_stdin):
        make.insert(0, "password")
    return await _change(daemon, printer, "seats", {**body, "make": make, "new": True})


async def change_seat(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Change one; the page where a secret was made."""
    try:
        body = _values(options)
        body.update(await _removals(options, daemon))
    except ValueError as error:
        printer.error(str(error))
        return USAGE
    make = ["password"] if options.password else []
    if not make and set(body) == {"name"}:
        printer.error("nothing to change: see --help")
        return USAGE
    return await _change(daemon, printer, "seats", {**body, "make": make, "new": False})


async def end_seat(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """End one."""
    return await _change(daemon, printer, "seats/end", {"name": options.name})


def maker(what: str) -> Callable[[argparse.Namespace, IAsksDaemon, Printer], Any]:
    """The work of the command that makes one thing of :data:`_MADE`."""

    async def make(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
        body = {"name": options.name, **_making(options)}
        return await _change(daemon, printer, f"seats/{what}", body)

    return make


def _making(options: argparse.Namespace) -> dict[str, Any]:
    names = ("key_name", "key_until", "days")
    return {each: value for each in names if (value := getattr(options, each, None)) is not None}


def _values(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of the body that options give.

    :raises ValueError: if one of them cannot be meant.
    """
    found: dict[str, Any] = {"name": options.name, **_making(options)}
    for key in ("until", "daily", "monthly", "rate", "note"):
        value = getattr(options, key)
        if value is not None:
            found[key] = None if value in _NONE else value
    if options.downloads is not None:
        found["downloads"] = None if options.downloads in _NONE else _number(options.downloads)
    if options.upstreams is not None:
        names = [each.strip() for each in options.upstreams.split(",") if each.strip()]
        found["upstreams"] = None if options.upstreams in _NONE else names
    if options.password_stdin:
        found["password"] = sys.stdin.readline(4096).removesuffix("\n").removesuffix("\r")
    return found


def _number(text: str) -> int:
    if not text.isdigit():
        raise ValueError("--downloads: a number, or none, is needed")
    return int(text)


async def _removals(options: argparse.Namespace, daemon: IAsksDaemon) -> dict[str, Any]:
    """What is taken away of a seat.

    :raises ValueError: if it has no such thing.
    """
    found: dict[str, Any] = {}
    if options.reopen:
        found["ended"] = None
    if options.remove_host:
        found["host"] = None
    if options.remove_link:
        found["knock"] = None
    if options.remove_key is None and options.remove_certificate is None:
        return found
    told = await daemon.get("seats")
    seat = next((each for each in told["items"] if each["name"] == options.name), None)
    if seat is None:
        raise ValueError(f"there is no seat {options.name}")
    if options.remove_key is not None:
        wanted = options.remove_key
        found["keys"] = [each for each in seat["keys"] if wanted not in (each["name"], each["key"])]
        _assert_fewer(found["keys"], seat["keys"], "key")
    if options.remove_certificate is not None:
        wanted = options.remove_certificate.lower().replace(":", "").removeprefix("sha256")
        kept = [each for each in seat["certificates"] if each != f"sha256:{wanted}"]
        _assert_fewer(kept, seat["certificates"], "certificate")
        found["certificates"] = kept
    return found


def _assert_fewer(kept: list[Any], before: list[Any], what: str) -> None:
    if len(kept) == len(before):
        raise ValueError(f"it has no such {what}; regcachectl seat list --json shows them")


async def _change(daemon: IAsksDaemon, printer: Printer, call: str, body: Mapping[str, Any]) -> int:
    told = await daemon.change("POST", call, body)
    if printer.as_json:
        printer.json(told)
        return DONE
    for warning in told["warnings"]:
        printer.error(f"look: {warning}")
    made = ("password", "key", "certificate", "host", "link")
    if told["created"] or any(told[each] is not None for each in made):
        for line in told["page"].splitlines():
            printer.line(line)
        return DONE
    seat = told["seat"]
    printer.line(
        f"{seat['name']} has ended" if seat["has_ended"] else f"{seat['name']} was changed"
    )
    return DONE
