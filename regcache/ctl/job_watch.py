"""Waits for work that goes on in the daemon, and shows how far it is."""

from typing import Any

from regcache.ctl.client import IAsksDaemon, NoDaemonError, RefusedError
from regcache.ctl.command import DONE, FAILED
from regcache.ctl.printer import Part, Printer

#: Seconds between two questions.
PAUSE = 0.5


async def watch_job(
    daemon: IAsksDaemon, printer: Printer, job: str, text: str, *, quiet: bool = False
) -> dict[str, Any]:
    """Wait until a job has ended; the last answer about it.

    If this command is interrupted, the job goes on.

    :raises NoDaemonError: if no daemon answers any more.
    :raises RefusedError: if the daemon knows of no such job any more.

    :param job: its id.
    :param text: what it does, in a few words.
    :param quiet: nothing is shown before it has ended.
    """
    ended: set[int] = set()
    with printer.progress(text, quiet) as show:
        while True:
            told = await _ask(daemon, job)
            show(told["done_bytes"], told["total_bytes"], _parts(told))
            if not quiet:
                _tell_steps(told, printer, ended)
            if told["ended"] is not None:
                return told
            await daemon.pause(PAUSE)


async def _ask(daemon: IAsksDaemon, job: str) -> dict[str, Any]:
    """What is told of a job that was begun."""
    try:
        told: dict[str, Any] = await daemon.get("job", id=job)
    except NoDaemonError as error:
        raise NoDaemonError(
            f"{error.why}; job {job} was begun, and ended if the daemon was stopped: what it did "
            "until then is done; else it goes on: see regcachectl jobs"
        ) from None
    except RefusedError as refused:
        if refused.code != "NOT_CACHED":
            raise
        detail = f"the daemon was started anew, and job {job} ended with the one before"
        raise RefusedError({**refused.problem, "detail": detail}) from None
    return told


def _parts(told: dict[str, Any]) -> list[Part]:
    """What is coming just now, of a pull."""
    arriving = (told["result"] or {}).get("arriving", ())
    return [(each["digest"][:19], each["here_bytes"], each["size_bytes"]) for each in arriving]


def _tell_steps(told: dict[str, Any], printer: Printer, ended: set[int]) -> None:
    """Where there is no bar, a line for each step when it was done.

    :param ended: those that were told.
    """
    if printer.as_json or printer.is_terminal:
        return
    for number, each in enumerate(told["steps"]):
        if each["state"] == "done" and number not in ended:
            ended.add(number)
            printer.line(each["text"])


def outcome_of(told: dict[str, Any], printer: Printer) -> int:
    """The exit status for a job that has ended; says why it is none of the good ones."""
    if told["state"] == "done":
        return DONE
    printer.error(told["error"] or f"it was {told['state']}")
    return FAILED
