"""Waits for work that goes on in the daemon, and shows how far it is."""

from typing import Any

from regcache.ctl.client import IAsksDaemon
from regcache.ctl.command import DONE, FAILED
from regcache.ctl.printer import Printer

#: Seconds between two questions.
PAUSE = 0.5


async def watch_job(daemon: IAsksDaemon, printer: Printer, job: str, text: str) -> dict[str, Any]:
    """Wait until a job has ended; the last answer about it.

    If this command is interrupted, the job goes on.

    :param job: its id.
    :param text: what it does, in a few words.
    """
    with printer.progress(text) as show:
        while True:
            told: dict[str, Any] = await daemon.get("job", id=job)
            show(told["done_bytes"], told["total_bytes"])
            if told["ended"] is not None:
                return told
            await daemon.pause(PAUSE)


def outcome_of(told: dict[str, Any], printer: Printer) -> int:
    """The exit status for a job that has ended; says why it is none of the good ones."""
    if told["state"] == "done":
        return DONE
    printer.error(told["error"] or f"it was {told['state']}")
    return FAILED
