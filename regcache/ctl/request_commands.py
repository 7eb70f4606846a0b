"""``regcachectl requests``, ``top`` and ``history``: who asked what, and how much."""

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.printer import Printer, size_text
from regcache.ctl.request_words import seconds_text, what, why

_TIME = "%Y-%m-%dT%H:%M:%SZ"
#: Seconds between two looks with --follow, and requests that one of them may find.
PAUSE, MOST_AT_ONCE = 1.0, 200
_COLUMNS = ("time", "outcome", "status", "size", "first byte", "took", "who", "what")
_RANGES = ("1h", "24h", "7d", "30d")


def add_parser(commands: Any) -> None:
    """Add these commands."""
    parser = add_daemon_parser(
        commands,
        "requests",
        show_requests,
        help="what clients asked lately, and what became of it",
        example="regcachectl requests --failed --why",
    )
    parser.add_argument("text", nargs="?", help="a part of a name, digest, account or address")
    parser.add_argument("--follow", action="store_true", help="go on with those that end")
    parser.add_argument("--why", action="store_true", help="say why each is what it is")
    parser.add_argument("--slow", action="store_true", help="only slow ones")
    parser.add_argument("--failed", action="store_true", help="only failed ones")
    parser.add_argument("--upstream", help="only those of one upstream")
    parser.add_argument(
        "--limit", type=limit, default=20, metavar="N", help="how many at most (20; up to 200)"
    )
    top = add_daemon_parser(
        commands,
        "top",
        show_top,
        help="what was served most, or to whom",
        example="regcachectl top --by principal --range 30d",
    )
    top.add_argument("--by", choices=("repository", "principal"), default="repository")
    top.add_argument("--range", choices=_RANGES, default="7d")
    text = "how many (10; up to 200)"
    top.add_argument("--limit", type=limit, default=10, metavar="N", help=text)
    history = add_daemon_parser(
        commands,
        "history",
        show_history,
        help="how much was asked for, over time",
        example="regcachectl history --range 24h --upstream docker.io",
    )
    history.add_argument("--range", choices=_RANGES, default="24h")
    history.add_argument("--upstream", help="only what is of one upstream")


def limit(text: str) -> int:
    """How many rows are wanted.

    :raises argparse.ArgumentTypeError: where the API has no such page.
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_AT_ONCE):
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 to {MOST_AT_ONCE} is needed")
    return int(text[:4])


async def show_requests(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print them, the latest last where they are followed."""
    if options.follow:
        return await _follow(options, daemon, printer)
    told = await _ask(options, daemon, options.limit)
    if printer.as_json:
        printer.json(told)
    else:
        rows = [_row(each, options) for each in told["items"]]
        printer.table(_columns(options), rows, "no such request is remembered")
    return DONE


async def _follow(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print as many as are wanted of those that are over, and then those that end.

    What has left a page, since enough came after it, never comes back: it is enough to know what
    the last page had.
    """
    told = await _ask(options, daemon, MOST_AT_ONCE)
    known = {each["id"] for each in told["items"][options.limit :] if not each["open"]}
    while True:
        ended = [each for each in told["items"] if not each["open"]]
        for each in reversed(ended):
            if each["id"] not in known:
                _print_one(each, options, printer)
        known = {each["id"] for each in ended}
        await daemon.pause(PAUSE)
        told = await _ask(options, daemon, MOST_AT_ONCE)


async def _ask(options: argparse.Namespace, daemon: IAsksDaemon, limit: int) -> Any:
    return await daemon.get(
        "requests",
        q=options.text,
        upstream=options.upstream,
        slow=True if options.slow else None,
        failed=True if options.failed else None,
        limit=limit,
    )


def _print_one(item: Mapping[str, Any], options: argparse.Namespace, printer: Printer) -> None:
    if printer.as_json:
        printer.line_now(json.dumps(item))
    else:
        printer.row_now(_row(item, options))


def _columns(options: argparse.Namespace) -> Sequence[str]:
    return (*_COLUMNS, "why") if options.why else _COLUMNS


def _row(item: Mapping[str, Any], options: argparse.Namespace) -> Sequence[str]:
    row = (
        item["time"],
        item["outcome"] or "open",
        str(item["status"] or "-"),
        size_text(item["sent_bytes"]),
        seconds_text(item["first_byte_ms"]),
        seconds_text(item["duration_ms"]),
        item["principal"] or item["address"] or "?",
        what(item),
    )
    return (*row, why(item)) if options.why else row


async def show_top(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print what was served most."""
    told = await daemon.get("top", by=options.by, range=options.range, limit=options.limit)
    if printer.as_json:
        printer.json(told)
        return DONE
    rows = [
        (
            each["name"],
            size_text(each["served_bytes"]),
            size_text(each["fetched_bytes"]),
            str(each["pulls"]),
            "?" if each["hit_ratio"] is None else f"{100 * each['hit_ratio']:.0f} %",
        )
        for each in told["items"]
    ]
    columns = (options.by, "served", "fetched", "pulls", "from the cache")
    printer.table(columns, rows, "nothing was served in this time")
    return DONE


async def show_history(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print the sums of a range, and its periods in which something was asked for."""
    told = await daemon.get("history", range=options.range, upstream=options.upstream)
    if printer.as_json:
        printer.json(told)
        return DONE
    names = ("requests", "hits", "failed", "served_bytes", "fetched_bytes")
    start = _start(told["start"])
    rows = []
    for number, requests in enumerate(told["requests"]):
        values = [told[name][number] for name in names]
        if requests or told["served_bytes"][number] or told["fetched_bytes"][number]:
            at = start + timedelta(milliseconds=number * told["step_ms"])
            rows.append((at.strftime(_TIME), *_values(names, values)))
    sums = [sum(value or 0 for value in told[name]) for name in names]
    rows.append(("in all", *_values(names, sums)))
    printer.table(("from", "requests", "from the cache", "failed", "served", "fetched"), rows)
    return DONE


def _values(names: Sequence[str], values: Sequence[int | None]) -> Sequence[str]:
    return [
        size_text(value) if name.endswith("_bytes") else "?" if value is None else str(value)
        for name, value in zip(names, values, strict=True)
    ]


def _start(text: str) -> datetime:
    return datetime.strptime(text, _TIME)
