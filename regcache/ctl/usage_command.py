"""``regcachectl usage``: who used how much."""

import argparse
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.printer import Printer, size_text
from regcache.local_days import last_of_month
from regcache.usage import usage_csv

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])\Z")
_SUMS = ("requests", "pulls", "served_bytes", "fetched_bytes", "refused")
_COLUMNS = ("requests", "pulls", "served", "fetched", "refused")


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "usage",
        show_usage,
        help="who used how much in a month; of one account each day",
        example="regcachectl usage --month 2026-11 --csv",
    )
    parser.add_argument("--month", type=_month, metavar="YYYY-MM", help="which (this one)")
    parser.add_argument("--account", metavar="NAME", help="only this one; anonymous for nobody's")
    parser.add_argument("--csv", action="store_true", help="print CSV, by upstream too")


def _month(text: str) -> date:
    match = _MONTH.match(text)
    if match is None or match[1] == "0000":
        raise argparse.ArgumentTypeError(f"{text!r} is no month such as 2026-11")
    return date(int(match[1]), int(match[2]), 1)


async def show_usage(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print it: of all accounts a line each, of one account a line for each day."""
    first: date | None = options.month
    last = None if first is None else last_of_month(first)
    parameters = {
        "from": None if first is None else first.isoformat(),
        "to": None if last is None else last.isoformat(),
        "account": options.account,
        "group": "month" if options.account is None else "day",
    }
    told = await daemon.get("usage", **parameters)
    if printer.as_json:
        printer.json(told)
    elif options.csv:
        for line in usage_csv(told["items"]).splitlines():
            printer.line(line)
    else:
        _print(options, told["items"], printer)
    return DONE


def _print(
    options: argparse.Namespace, items: Sequence[Mapping[str, Any]], printer: Printer
) -> None:
    name = _account if options.account is None else _day
    sums: dict[str, list[int]] = {}
    for item in items:
        known = sums.setdefault(name(item), [0] * len(_SUMS))
        for place, field in enumerate(_SUMS):
            known[place] += item[field]
    rows = list(sums.items())
    if options.account is None:
        rows.sort(key=lambda row: -row[1][_SUMS.index("served_bytes")])
    heads = ("account" if options.account is None else "day", *_COLUMNS)
    printer.table(heads, [(each, *_cells(numbers)) for each, numbers in rows])


def _account(item: Mapping[str, Any]) -> str:
    where = item["address_class"]
    return item["account"] if where is None else f"{item['account']} ({where})"


def _day(item: Mapping[str, Any]) -> str:
    day: str = item["day"]
    return day


def _cells(numbers: Sequence[int]) -> list[str]:
    return [
        size_text(number) if field.endswith("_bytes") else str(number)
        for field, number in zip(_SUMS, numbers, strict=True)
    ]
