"""Why a file cannot be read, and where that is a matter of rights, what to type."""

import grp
import os
import shlex


def why_unreadable(path: str, fault: OSError) -> str:
    """The reason in words; for a file or folder that another owner keeps to itself, with commands.

    :param fault: of an attempt to open it.
    """
    reason = fault.strerror or "not a path"
    if not isinstance(fault, PermissionError):
        return reason
    folder = os.path.dirname(os.path.abspath(path))
    is_open = os.access(folder, os.X_OK, effective_ids=True)
    name, rights = (path, "g+r") if is_open else (folder, "g+rx")
    return f"{reason}; type: {_commands(name, rights)}"


def _commands(path: str, rights: str) -> str:
    """What gives our group these rights."""
    group = os.getegid()
    try:
        named = grp.getgrgid(group).gr_name
    except KeyError:
        named = str(group)
    quoted = shlex.quote(path)
    return f"chgrp {named} {quoted} && chmod {rights} {quoted}"
