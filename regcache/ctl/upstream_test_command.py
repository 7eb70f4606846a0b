"""``regcachectl test``: asks an upstream, step by step, whether it can be reached."""

import argparse
from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import add_daemon_parser
from regcache.ctl.job_watch import outcome_of, watch_job
from regcache.ctl.printer import Printer


def add_parser(commands: Any) -> None:
    """Add this command."""
    parser = add_daemon_parser(
        commands,
        "test",
        test,
        help="ask an upstream whether it can be reached: DNS, connect, TLS, token, /v2/",
        example="regcachectl test docker.io",
    )
    parser.add_argument("upstream", metavar="UPSTREAM", help="its name in the configuration")


async def test(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Begin it, wait for its end, and print each step."""
    begun = await daemon.change("POST", "upstreams/test", {"name": options.upstream})
    told = await watch_job(daemon, printer, begun["job"], f"testing {options.upstream}", quiet=True)
    if printer.as_json:
        printer.json(told)
        return outcome_of(told, printer)
    urls = (told["result"] or {}).get("urls", ())
    rows = [
        (url["url"], step["step"], _word(step["ok"]), _time(step["duration_ms"]), step["text"])
        for url in urls
        for step in url["steps"]
    ]
    printer.table(("url", "step", "", "time", ""), rows)
    return outcome_of(told, printer)


def _word(ok: bool | None) -> str:
    return "?" if ok is None else "ok" if ok else "bad"


def _time(milliseconds: int | None) -> str:
    return "?" if milliseconds is None else f"{milliseconds} ms"
