"""Shows how a client program is set up, or writes its files."""

import argparse
import os
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from regcache.client_setup.guide_files import StrangeFileError, check_files
from regcache.client_setup.steps import ANY_NAME, ClientLogin, fill_in
from regcache.client_setup.words import FILLED, NOTES, TEXTS, TITLES
from regcache.ctl.client import IAsksDaemon, NoDaemonError
from regcache.ctl.client_password import PASSWORD_VARIABLE
from regcache.ctl.command import DONE, FAILED, USAGE
from regcache.ctl.guide_of_file import GuideWish, NoGuideError, guide_of_file
from regcache.ctl.printer import Printer
from regcache.ctl.prompts import NoPasswordError, ask_password
from regcache.ctl.setup_files import (
    FileAction,
    PlannedFile,
    SetupFileError,
    plan_files,
    write_files,
)
from regcache.ctl.usual_files import configuration_without_daemon

_WIDTH = 92


async def show_or_write(options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer) -> int:
    """Ask for the guide, and print or write it."""
    try:
        login = ask_login(options.account)
        guide = await _guide(options, daemon, printer, with_login=login is not None)
        strange = _strange(options.tool, guide)
        if strange and options.write:
            printer.error(strange)
            printer.error("nothing is written; is it regcache, and of this version? Without")
            printer.error("--write it is only shown")
            return FAILED
        if options.seat and guide["login_needed"]:
            login = ask_login(options.seat)
    except ValueError as error:
        printer.error(str(error))
        return USAGE
    except (NoGuideError, NoPasswordError) as error:
        printer.error(str(error))
        return FAILED
    if login is not None:
        _fill_in(guide, login)
    if options.write:
        return _write(guide, options, printer)
    if strange:
        printer.error(f"look: {strange}; is it regcache, and of this version?")
    _print(guide, printer)
    return DONE


def _strange(tool: str, guide: Mapping[str, Any]) -> str:
    """What an answer has that no guide of this version has; "" for nothing."""
    try:
        check_files(tool, _blocks(guide))
    except StrangeFileError as error:
        return f"the answer has what its guide cannot have: {error}"
    return ""


def ask_login(account: str | None) -> ClientLogin | None:
    """The account that a client uses at the cache; None for none.

    :raises ValueError: if there is no terminal to ask its password at.
    :raises NoPasswordError: if it was not given there.
    """
    if not account:
        return None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and sys.stdin.isatty():
        password = ask_password(f"Password of {account} at the cache: ")
    if password is None:
        raise ValueError(f"--account: without a terminal {PASSWORD_VARIABLE} has to be set")
    return ClientLogin(account, password)


async def _guide(
    options: argparse.Namespace, daemon: IAsksDaemon, printer: Printer, *, with_login: bool
) -> dict[str, Any]:
    try:
        found: dict[str, Any] = await daemon.get(
            "client-config",
            tool=options.tool,
            host=options.host,
            upstreams=",".join(options.upstream) or None,
            login=with_login or None,
            seat=options.seat,
        )
        return found
    except NoDaemonError as error:
        file = configuration_without_daemon(options)
        if file is None:
            raise
        printer.error(f"{error}; {file} is read instead")
        return guide_of_file(
            file,
            options.tool,
            GuideWish(options.host or "", options.upstream, options.seat or "", with_login),
        )


def _blocks(guide: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [block for step in guide["steps"] for block in step["blocks"]]


def _fill_in(guide: Mapping[str, Any], login: ClientLogin) -> None:
    for step in guide["steps"]:
        step["text_code"] = FILLED.get(step["text_code"], step["text_code"])
    for block in _blocks(guide):
        filled = fill_in(block["text"], block["kind"], login)
        if block["kind"] == "file" and filled != block["text"]:
            block["secret"] = True
        block["text"] = filled


def _print(guide: Mapping[str, Any], printer: Printer) -> None:
    if printer.as_json:
        printer.json(guide)
        return
    _tell_notes(guide, printer)
    for step in guide["steps"]:
        printer.line(f"# {_words(TITLES, step['title_code'])}")
        for line in textwrap.wrap(_words(TEXTS, step["text_code"] or ""), _WIDTH):
            printer.line(f"#   {line}")
        for block in step["blocks"]:
            where = f"part of {block['path']}" if block["part"] else block["path"]
            printer.line("")
            printer.line(f"# {where}:" if block["path"] else "# type:")
            for line in block["text"].splitlines():
                printer.line(line)
        printer.line("")


def _words(known: Mapping[str, str], code: str) -> str:
    """A code in words; a newer daemon may have others."""
    return known.get(code, code)


def _tell_notes(guide: Mapping[str, Any], printer: Printer) -> None:
    for note in guide["notes"]:
        printer.error(f"look: {_words(NOTES, note)}")


def _write(guide: Mapping[str, Any], options: argparse.Namespace, printer: Printer) -> int:
    blocks = _blocks(guide)
    if any(block["secret"] and ANY_NAME in block["text"] for block in blocks):
        printer.error("the cache wants an account, which stands in the files: --account NAME")
        return USAGE
    try:
        done = write_files(plan_files(blocks, options.root))
    except SetupFileError as error:
        printer.error(str(error))
        return FAILED
    commands = [
        line for block in blocks if block["kind"] == "shell" for line in block["text"].splitlines()
    ]
    if printer.as_json:
        files = [
            {"path": one.path, "action": one.action.name.lower(), "kept": kept or None}
            for one, kept in done
        ]
        printer.json({"files": files, "commands": commands, "notes": guide["notes"]})
        return DONE
    _tell_notes(guide, printer)
    for one, kept in done:
        _tell(one, kept, printer)
    printer.line("type next:")
    for line in commands:
        printer.line(f"  {line}")
    return DONE


def _tell(planned: PlannedFile, kept: str, printer: Printer) -> None:
    printer.line(f"{planned.action.value}: {planned.path}")
    if kept:
        printer.line(f"  what it was is in {kept}")
    if planned.action is FileAction.ADD:
        for line in planned.content.decode("utf-8").splitlines():
            printer.line(f"    {line}")
