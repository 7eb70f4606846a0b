"""Writes the files of a guide, without losing any former content.

=====================================  ====================================================
former file                            action
=====================================  ====================================================
none                                   the file is written
the same content                       it stays
a file of ours (its first line says    it is replaced; a copy of the former file is kept as
so), or a certificate (``.crt``)       ``.bak``, under a name that was free
``daemon.json``                        the keys are merged into it; a copy is kept
a file of which ours is a part         it stays, and a message says what has to be added
anything else, or no plain file        no file at all is written; a message says what to type
=====================================  ====================================================

All files are checked before the first one is written. A rename replaces a file, so that it is
complete at each moment. If a program reads every file of a folder, the temporary file and the
``.bak`` are in the folder above it.
"""

import json
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from regcache.client_setup.containers import CRIO_FOLDER
from regcache.client_setup.docker import DAEMON_JSON
from regcache.client_setup.steps import MARK
from regcache.light_dataclass import dataclass

_LARGEST = 4 * 1024 * 1024
_MOST_KEPT = 1000
#: Keys of daemon.json that are lists, which may have entries of others.
_LISTS = ("registry-mirrors", "insecure-registries")
_OPEN, _SECRET = 0o644, 0o600
#: Folders in which a program reads every file. In others the name decides: ``*.conf`` in
#: registries.conf.d; ``*.crt``, ``*.cert`` and ``*.key`` in folders of certificates; containerd
#: knows the names of its files.
_READ_WHOLE = (CRIO_FOLDER,)


class SetupFileError(Exception):
    """A file cannot be written; the text is one line that says what to type."""


class FileAction(Enum):
    """What is done with a file."""

    WRITE = "written"
    KEEP = "unchanged"
    ADD = "to be added by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A file, and what is done with it.

    :ivar path: its path below the root.
    :ivar content: its new content; for :attr:`FileAction.ADD` the lines to add.
    :ivar former: its present content; None if there is no file.
    :ivar spare: the path from which the names of copies are made.
    """

    path: str
    action: FileAction
    content: bytes
    former: bytes | None
    spare: str
    is_secret: bool = False


def plan_files(blocks: Iterable[Mapping[str, Any]], root: str) -> list[PlannedFile]:
    """Check the present files, and plan what is done with each.

    :param blocks: of a guide, as the API has them.
    :raises SetupFileError: if one of the files may not be written.
    """
    return [_plan(each, root) for each in blocks if each["kind"] == "file"]


def _plan(block: Mapping[str, Any], root: str) -> PlannedFile:
    path = _below(root, str(block["path"]))
    content, former = str(block["text"]).encode("utf-8"), _read(path)
    spare, secret = _spare(path, str(block["path"])), bool(block["secret"])
    if former is None:
        return PlannedFile(
            path=path,
            action=FileAction.WRITE,
            content=content,
            former=None,
            spare=spare,
            is_secret=secret,
        )
    if block["part"]:
        action = FileAction.KEEP if _has_lines(former, content) else FileAction.ADD
        return PlannedFile(
            path=path, action=action, content=content, former=former, spare=spare, is_secret=secret
        )
    if block["path"] == DAEMON_JSON:
        content = _merged(path, former, content)
    elif former != content and not (_is_ours(former) or path.endswith(".crt")):
        kept = shlex.quote(f"{spare}.mine")
        why = f"{path}: has been written by others, and would be lost"
        raise SetupFileError(f"{why}; move it away first: mv {shlex.quote(path)} {kept}")
    action = FileAction.KEEP if former == content else FileAction.WRITE
    return PlannedFile(
        path=path, action=action, content=content, former=former, spare=spare, is_secret=secret
    )


def _below(root: str, path: str) -> str:
    """Put a path below the root. :raises SetupFileError: if it might lead outside."""
    parts = path.strip("/").split("/")
    if not path.isprintable() or not {"", ".", ".."}.isdisjoint(parts):
        raise SetupFileError(f"{path!a}: is no path of a file that may be written")
    return os.path.join(root, *parts)


def _spare(path: str, told: str) -> str:
    """The path from which the names of copies of a file are made.

    :param told: its path without the root.
    """
    folder, name = os.path.split(path)
    is_read_whole = os.path.dirname(told) in _READ_WHOLE
    return os.path.join(os.path.dirname(folder), name) if is_read_whole else path


def _read(path: str) -> bytes | None:
    """Read a file; None if there is none.

    :raises SetupFileError: if it is no plain file, or cannot be read.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise SetupFileError(f"{path}: is no plain file; look with: ls -l {shlex.quote(path)}")
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupFileError(_why(path, error)) from None
    if len(content) > _LARGEST:
        raise SetupFileError(f"{path}: is larger than {_LARGEST} bytes; move it away first")
    return content


def _why(path: str, error: OSError) -> str:
    denied = isinstance(error, PermissionError)
    return f"{path}: {error.strerror}" + ("; type it again with sudo" if denied else "")


def _is_ours(content: bytes) -> bool:
    return content.startswith(MARK.encode("ascii"))


def _has_lines(content: bytes, part: bytes) -> bool:
    """Whether a file has all settings of a part, in any tables and among any others."""
    settings = [each.split(b" = ") for each in part.splitlines() if b" = " in each]
    wanted = [(key.strip(), value.strip(b"\"'")) for key, value in settings if key != b"version"]
    lines = [each.split(b"=", 1) for each in content.splitlines() if b"=" in each]
    return all(
        any(name.strip() == key and value in rest for name, rest in lines) for key, value in wanted
    )


def _merged(path: str, former: bytes, content: bytes) -> bytes:
    """Merge our keys into daemon.json: our mirrors first, all else as it was."""
    try:
        known = json.loads(former) if former.strip() else {}
    except ValueError as error:
        raise SetupFileError(f"{path}: is no JSON: {error}; correct it first") from None
    lists = [known.get(key, []) for key in _LISTS] if isinstance(known, dict) else [None]
    if not all(isinstance(each, list) for each in lists):
        raise SetupFileError(f"{path}: is not what dockerd reads; correct it first")
    added = {
        key: [*values, *(one for one in known.get(key, []) if one not in values)]
        for key, values in json.loads(content).items()
    }
    if all(known.get(key) == values for key, values in added.items()):
        return former
    return (json.dumps(known | added, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def write_files(planned: Sequence[PlannedFile]) -> list[tuple[PlannedFile, str]]:
    """Write the files that have to be written.

    :returns: each file with the path of its copy; "" if there is no copy.
    :raises SetupFileError: if one cannot be written. Earlier ones are written then.
    """
    return [(each, _write(each) if each.action is FileAction.WRITE else "") for each in planned]


def _write(planned: PlannedFile) -> str:
    path = planned.path
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        folder, name = os.path.split(planned.spare)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        try:
            _fill(descriptor, planned)
            if _read(path) != planned.former:
                raise SetupFileError(f"{path}: somebody else changes it; try again")
            kept = "" if planned.former is None else _keep(planned)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise SetupFileError(_why(path, error)) from None
    return kept


def _fill(descriptor: int, planned: PlannedFile) -> None:
    """Give a temporary file its content, and the mode and owner of the former file; close it."""
    with open(descriptor, "wb") as file:
        file.write(planned.content)
        mode = _SECRET if planned.is_secret else _OPEN
        if planned.former is not None:
            status = os.stat(planned.path)
            mode = stat.S_IMODE(status.st_mode) & (_SECRET if planned.is_secret else 0o7777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)


def _keep(planned: PlannedFile) -> str:
    """Keep a copy of a file under a free name."""
    path, spare = planned.path, planned.spare
    for number in range(_MOST_KEPT):
        kept = f"{spare}.bak" if number == 0 else f"{spare}.bak.{number}"
        try:
            os.link(path, kept, follow_symlinks=False)
            return kept
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            if not os.path.lexists(kept):
                shutil.copy2(path, kept)
                return kept
    raise SetupFileError(f"{path}: there are {_MOST_KEPT} copies, {spare}.bak…; remove some")
