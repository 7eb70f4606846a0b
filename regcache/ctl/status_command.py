"""``regcachectl status``: whether it works, and how full it is."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from regcache.ctl.client import IAsksDaemon, RefusedError
from regcache.ctl.command import DONE, add_daemon_parser
from regcache.ctl.printer import Printer, size_text

#: Fetches a day that a larger disk would save, below which it is not worth a word.
LEAST_SAVED = 1
#: What notices and verdicts mean, by their code.
SENTENCES = {
    "ok": "It works.",
    "upstream.down": "{upstream} does not answer. Cached images are still served.",
    "upstream.limited": "{upstream} wants a pause: its rate limit is used up.",
    "upstream.slow": "{upstream} answers slowly.",
    "credentials.refused": "{upstream} refuses our credentials; it is asked without them.",
    "storage.closed": "Nothing is stored: {text}. Pulls still work; new images pass through.",
    "storage.refused": "The disk refused a write a moment ago. New images pass through.",
    "storage.full": "The disk is full since {since}. Pulls still work; new images pass through.",
    "storage.damaged": "{count} stored contents were damaged, and removed. Look at the disk.",
    "certificate.ends": "The certificate {chain} ends at {ends}.",
    "certificate.ended": "The certificate {chain} has ended, at {ends}.",
    "config.refused": "The configuration file is wrong, and not in force: {text}",
    "index.problem": "{text}",
}


def add_parser(commands: Any) -> None:
    """Add this command."""
    add_daemon_parser(
        commands,
        "status",
        show_status,
        help="whether it works, how full it is, and what it is doing",
        example="regcachectl status --json",
    )


async def show_status(_: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Print it."""
    status = await daemon.get("status")
    if printer.as_json:
        printer.json(status)
        return DONE
    for each in status["notices"] or [status["verdict"]]:
        printer.line(sentence(each))
    if upstreams := (await daemon.get("upstreams"))["items"]:
        printer.line(upstreams_sentence(upstreams))
    if larger := larger_disk_sentence(await _savings(daemon)):
        printer.line(larger)
    disk, counts = status["disk"], status["counts"]
    rows = [
        ("version", status["version"]),
        ("started", status["started"]),
        ("configuration read", status["config_loaded"]),
        ("stored", f"{size_text(disk['used_bytes'])} of {size_text(disk['limit_bytes'])}"),
        ("free on the disk", size_text(disk["fs_free_bytes"])),
    ]
    names = ("repositories", "tags", "blobs", "downloads", "readers")
    rows += [(name, _count(counts[name])) for name in names]
    printer.table(("", ""), rows)
    return DONE


def sentence(notice: Mapping[str, Any]) -> str:
    """A notice or verdict in words; its code where a newer daemon says what is not known here."""
    words = SENTENCES.get(str(notice["code"]))
    try:
        return str(notice["code"]) if words is None else words.format_map(notice["params"])
    except KeyError:
        return str(notice["code"])


def upstreams_sentence(upstreams: Sequence[Mapping[str, Any]]) -> str:
    """What is known of the upstreams: how they answered when they were asked last.

    :param upstreams: as the API tells of them.
    """
    asked = [each for each in upstreams if each["state"] != "unasked"]
    failed = [each for each in asked if each["since"] is not None]
    answered = len(asked) - len(failed)
    noun = "upstream" if len(upstreams) == 1 else "upstreams"
    parts = [f"{answered} of {len(upstreams)} {noun} answered when asked last"]
    if failed:
        parts.append(f"failed: {', '.join(str(each['name']) for each in failed)}")
    if unasked := len(upstreams) - len(asked):
        parts.append(f"not asked yet: {unasked}")
    return f"{'; '.join(parts)}."


async def _savings(daemon: IAsksDaemon) -> Sequence[Mapping[str, Any]]:
    """What more disk would save; nothing where the index cannot tell it now."""
    try:
        advice = await daemon.get("advice")
    except RefusedError as refused:
        if refused.code != "INDEX_BUSY":
            raise
        return ()
    savings: Sequence[Mapping[str, Any]] = advice["ghost_bytes"]
    return savings


def larger_disk_sentence(savings: Sequence[Mapping[str, Any]]) -> str:
    """What more disk would save, if that is worth a word; else "".

    :param savings: as the API tells of them, the least disk first.
    """
    if not savings or savings[-1]["saved_misses_per_day"] < LEAST_SAVED:
        return ""
    most = savings[-1]["saved_bytes_per_day"]
    least = next(each for each in savings if each["saved_bytes_per_day"] >= most / 2)
    size = size_text(round(least["saved_bytes_per_day"]))
    return (
        f"With {size_text(least['more_bytes'])} more disk {least['saved_misses_per_day']:.0f} "
        f"fetches of what had been evicted, {size} a day, would not be needed."
    )


def _count(number: int | None) -> str:
    return "?" if number is None else str(number)
