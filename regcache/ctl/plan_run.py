"""Shows what would be removed, asks, and has it removed: for all commands that remove something.

=====================  ==================================================================
what comes             what follows
=====================  ==================================================================
nothing would go       done, without a question
``--dry-run``          the plan is shown, and that is all
``--yes``              it is run
a terminal             the plan is shown; it is run if the answer is yes
neither of these       the plan is shown; nothing is removed, which is wrong usage, unless nothing
                       would go
PLAN_CHANGED           again, with the new plan
PLAN_EXPIRED           again, with a plan that is made anew
=====================  ==================================================================
"""

import argparse
from collections.abc import Mapping
from typing import Any

from regcache.ctl.client import IAsksDaemon, RefusedError
from regcache.ctl.command import DONE, FAILED, USAGE
from regcache.ctl.job_watch import outcome_of, watch_job
from regcache.ctl.printer import Printer, size_text

#: How often a plan may change, or run out, before it is given up.
MOST_PLANS = 10


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says whether to ask."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--yes", action="store_true", help="do not ask")
    how.add_argument("--dry-run", action="store_true", help="only show what would be removed")


async def plan_and_run(
    options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer, wanted: Mapping[str, Any]
) -> int:
    """Do what a plan says, or only show it; gives the exit status.

    :param wanted: what the plan is made of.
    """
    plan = await daemon.change("POST", "plans", wanted)
    for _ in range(MOST_PLANS):
        status = _decide(options, printer, plan)
        if status is not None:
            return status
        try:
            begun = await daemon.change("POST", "plans/run", {"plan": plan["plan"]})
        except RefusedError as refused:
            if refused.code == "PLAN_CHANGED":
                plan = refused.problem["params"]["plan"]
            elif refused.code == "PLAN_EXPIRED":
                plan = await daemon.change("POST", "plans", wanted)
            else:
                raise
            printer.error(f"{refused}; this is what it is now:")
            continue
        return await _watch(daemon, printer, begun["job"])
    printer.error("what would be removed changes all the time; nothing was removed")
    return FAILED


def _decide(options: argparse.Namespace, printer: Printer, plan: Mapping[str, Any]) -> int | None:
    """Show a plan, and ask. Gives the exit status, or None where it is to be run."""
    if options.yes and printer.as_json:
        return None  # what it came to is printed
    if printer.as_json:
        printer.json(plan)
    else:
        show_plan(printer, plan)
    if options.dry_run or not _removes(plan):
        return DONE
    if options.yes:
        return None
    if not printer.can_ask:
        printer.error("nothing was removed: without a terminal --yes is needed, or --dry-run")
        return USAGE
    if printer.ask("Remove this?"):
        return None
    printer.error("nothing was removed")
    return FAILED


def show_plan(printer: Printer, plan: Mapping[str, Any]) -> None:
    """Print what would go, what would stay, and how much comes free."""
    if not _removes(plan):
        printer.line("nothing is to be removed")
    columns = ("image", "unused for", "size", "comes free", "shared with")
    printer.table(columns, [_row(each) for each in plan["items"]])
    parts = [each for each in plan["items"] if not each["whole"]]
    shown = {each["digest"] for each in plan["items"] if each["whole"]}
    if plan["images"] > len(shown):
        printer.line(f"and {plan['images'] - len(shown)} more images")
    for name in plan["also_lost_tags"]:
        printer.line(f"goes along: {name}")
    _show_skipped(printer, plan)
    if plan["partials"]:
        downloads = _counted(plan["partials"], "unfinished download")
        printer.line(f"{downloads}: {size_text(plan['partial_bytes'])}")
    if _removes(plan):
        others = f", and parts of {len(parts)} that stay" if parts else ""
        printer.line(
            f"{_counted(plan['images'], 'image')}, {_counted(plan['tags'], 'tag')}{others}: "
            f"{size_text(plan['freed_bytes'])} come free, {size_text(plan['kept_bytes'])} stay"
        )


def _show_skipped(printer: Printer, told: Mapping[str, Any]) -> None:
    for each in told["skipped"]:
        printer.line(f"stays: {_named(each['name'], each['reference'])} ({each['why']})")
    if told["skipped_more"]:
        printer.line(f"stays: {told['skipped_more']} more")


def _removes(plan: Mapping[str, Any]) -> bool:
    """Whether something goes: images, or what belongs to none and is not listed."""
    return bool(plan["items"] or plan["freed_bytes"])


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _row(item: Mapping[str, Any]) -> tuple[str, ...]:
    days = item["unused_days"]
    unused = "?" if days is None else f"{days} d"
    shared = ", ".join(item["shared_with"])
    sizes = size_text(item["size_bytes"]), size_text(item["frees_bytes"])
    return (_image(item) + ("" if item["whole"] else " (part)"), unused, *sizes, shared)


def _image(item: Mapping[str, Any]) -> str:
    name, digest = item["name"], item["digest"]
    if item["tags"]:
        return f"{name}:{','.join(item['tags'])}"
    return f"{name}@{digest}" if name and digest else digest or name


def _named(name: str, reference: str) -> str:
    if not (name and reference):
        return name or reference
    return f"{name}{'@' if ':' in reference else ':'}{reference}"


async def _watch(daemon: IAsksDaemon, printer: Printer, job: str) -> int:
    told = await watch_job(daemon, printer, job, "removing")
    if printer.as_json:
        printer.json(told)
    elif told["result"] is not None:
        result = told["result"]
        _show_skipped(printer, result)
        printer.line(f"{size_text(result['freed_bytes'])} came free")
    return outcome_of(told, printer)
