"""``regcachectl passwd``: sets, changes or removes an account of a htpasswd file."""

import argparse
import contextlib
import getpass
import io
import os
import select
import stat
import sys
from typing import cast

from regcache.config import names
from regcache.ctl.check_config import Commands
from regcache.htpasswd import LONGEST_PASSWORD, HtpasswdError, parse_htpasswd
from regcache.whole_file import (
    MOST_BYTES,
    FileTooLargeError,
    alone_in,
    fits,
    read_whole,
    replace_whole,
)

#: How slow a hash is to be checked: about 50 ms. The daemon checks logins in two threads.
COST = 10
#: Where a password is taken from.
_WHERE = "it is one line of standard input, or asked for on a terminal"
#: Seconds after which a person at a terminal is told so.
_SOON = 1.0
_AT_ONCE = 4096
#: Stands for a hash while a name is checked.
_SOME_HASH = "$2y$10$" + 53 * "."

_EXAMPLES = """\
On a terminal the password is asked for twice; else it is one line of standard input.
A running daemon takes the change within two seconds; who is removed is out at once.

examples:
  regcachectl passwd /etc/regcache/htpasswd alice
  pwgen 24 1 | regcachectl passwd /etc/regcache/htpasswd ci
  regcachectl passwd /etc/regcache/htpasswd alice --remove
"""


class PasswdError(Exception):
    """The account cannot be changed; the text is one line."""


def add_parser(commands: Commands) -> None:
    """Add this command."""
    parser = commands.add_parser(
        "passwd",
        help="set the password of an account, or remove it",
        description="Set or change the password of an account in a htpasswd file, with bcrypt. "
        "The file is made if it is missing.",
    )
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--remove", action="store_true", help="remove the account")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("user", metavar="USER", type=_user)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Change the file: what was done to stdout, why not to stderr."""
    try:
        if options.remove:
            done = _change(options.file, options.user, None)
        else:
            done = _change(options.file, options.user, _hash(_password()))
    except (PasswdError, HtpasswdError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.file}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{options.file}: {options.user} was {done}")
    return 0


def _user(text: str) -> str:
    """A name that an account may have, in the file as in the rules of the configuration."""
    try:
        if list(parse_htpasswd(f"{names.account(text)}:{_SOME_HASH}", "")) == [text]:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} cannot be the name of an account")


def _password() -> bytes:
    """The new password. :raises PasswdError: if none can be had."""
    if sys.stdin is None:  # its descriptor was closed
        raise PasswdError(f"there is no password: {_WHERE}")
    password = _asked() if sys.stdin.isatty() else _read()
    if not password:
        raise PasswdError(f"the password is empty: {_WHERE}")
    if len(password) > LONGEST_PASSWORD:
        raise PasswdError(f"the password is too long: bcrypt takes {LONGEST_PASSWORD} bytes")
    if any(byte < 32 or byte == 127 for byte in password):
        raise PasswdError("the password holds more than one line, or control characters")
    return password


def _asked() -> bytes:
    try:
        first = getpass.getpass("New password: ")
        second = getpass.getpass("The same again: ")
    except (EOFError, KeyboardInterrupt):
        raise PasswdError("no password was given") from None
    if first != second:
        raise PasswdError("the two passwords differ")
    return first.encode("utf-8", "surrogateescape")


def _read() -> bytes:
    """Read one line, without its end, and what came with it.

    The writer may keep the pipe open, so the end of the pipe is not waited for.
    """
    given, least = b"", LONGEST_PASSWORD + len(b"\r\n")
    source = cast(io.BufferedReader, sys.stdin.buffer)
    _wait_for_input()
    while b"\n" not in given and len(given) <= least:
        more = source.read1(_AT_ONCE)
        if not more:
            break
        given += more
    return given.removesuffix(b"\n").removesuffix(b"\r")


def _wait_for_input() -> None:
    """Where nothing comes, say so: a person may be waiting there."""
    with contextlib.suppress(OSError, ValueError):  # not all can be waited for
        if not select.select([sys.stdin], [], [], _SOON)[0]:
            print(f"waiting for the password: {_WHERE}", file=sys.stderr, flush=True)


def _hash(password: bytes) -> str:
    """A bcrypt hash. ``$2y$`` is the same as ``$2b$``, and read by more programs."""
    import bcrypt  # no other command needs it

    hashed = bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode("ascii")
    return hashed.replace("$2b$", "$2y$", 1)


def _change(path: str, user: str, hashed: str | None) -> str:
    """Replace the file by one with another line for an account; says what was done.

    :param hashed: None removes the account.
    :raises HtpasswdError: if the file would not be a valid one.
    """
    path = os.path.realpath(path)
    with alone_in(os.path.dirname(path)):
        status, text = _present(path)
        changed, done = _with_line(text, user, hashed)
        parse_htpasswd(changed, path)
        content = changed.encode("utf-8")
        if not fits(content):
            why = f"it would be larger than {MOST_BYTES} bytes, and not be read any more"
            raise PasswdError(f"{path}: {why}: remove accounts first")
        _replace(path, content, status)
    return done


def _present(path: str) -> tuple[os.stat_result | None, str]:
    """The file as it is; None and nothing where it is missing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None, ""
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PasswdError(f"{path}: is no file of accounts")
        try:
            return status, read_whole(file).decode("utf-8")
        except UnicodeDecodeError:
            raise PasswdError(f"{path}: is not UTF-8") from None
        except FileTooLargeError as error:
            raise PasswdError(f"{path}: {error}: is no file of accounts") from None


def _with_line(text: str, user: str, hashed: str | None) -> tuple[str, str]:
    """The text with another line for an account, and what that means.

    Every other line stays as it is, to the byte.
    """
    lines = text.splitlines(keepends=True)
    present = [number for number, line in enumerate(lines) if _name(line) == user]
    if hashed is None:
        if not present:
            raise PasswdError(f"there is no account {user!r} in the file")
        return "".join(line for line in lines if _name(line) != user), "removed"
    if present:
        first = present[0]
        old = lines[first]
        end = old.removeprefix(old.splitlines()[0])
        lines[first] = f"{user}:{hashed}{end}"
        kept = (line for number, line in enumerate(lines) if number not in present[1:])
        return "".join(kept), "changed"
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += "\n"
    return "".join([*lines, f"{user}:{hashed}\n"]), "added"


def _name(line: str) -> str | None:
    """Of the account that a line is about."""
    name, colon, _ = line.strip().partition(":")
    return name if colon and not name.startswith("#") else None


def _replace(path: str, content: bytes, status: os.stat_result | None) -> None:
    """Write the file anew, whole or not at all."""

    def prepare(descriptor: int) -> None:
        if status is None:
            _let_group_read(descriptor, os.stat(os.path.dirname(path)).st_gid)
        else:
            _keep_owner(path, descriptor, status)

    replace_whole(path, content, prepare)


def _keep_owner(path: str, descriptor: int, status: os.stat_result) -> None:
    """:raises PasswdError: if the new file would belong to another user."""
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(descriptor, status.st_uid, status.st_gid)
        except OSError:
            raise PasswdError(
                f"{path}: its owner could not be kept: run this as that user, or as root"
            ) from None
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _let_group_read(descriptor: int, group: int) -> None:
    """A new file: 0640 where root makes it in the folder of another group, else 0600.

    So a daemon that has the group of its configuration's folder can read it.
    """
    if os.geteuid() == 0 and group != 0:
        os.fchown(descriptor, -1, group)
        os.fchmod(descriptor, 0o640)
