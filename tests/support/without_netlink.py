"""Runs a program that hears nothing of the machine's networks.

    python tests/support/without_netlink.py PROGRAM [ARGUMENT ...]

Chromium ends all its requests (ERR_NETWORK_CHANGED) whenever a link or an address of the machine
comes or goes, also those on loopback; and tests that run beside it make links of their own. It is
told by netlink (rtnetlink(7)). So a filter of system calls (seccomp(2)) refuses such sockets, as on
a kernel that has none; the program then takes the network for one that never changes.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from collections.abc import Sequence

#: Of a machine: its number for filters (AUDIT_ARCH_*), and that of socket(2).
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
#: linux/prctl.h, linux/seccomp.h
_NO_NEW_PRIVILEGES, _SECCOMP, _MODE_FILTER = 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EAFNOSUPPORT
#: linux/bpf_common.h: load a word; jump if it is equal; return.
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
#: Where struct seccomp_data has the call, the machine, and the first argument.
_CALL, _MACHINE, _FIRST = 0, 4, 16


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def undisturbed(command: Sequence[str]) -> list[str]:
    """A command that hears nothing of them."""
    return [sys.executable, __file__, *command]


def rules(machine: int, call: int) -> list[tuple[int, int, int, int]]:
    """The filter: operations, how many to jump over if true and if false, and operands."""
    return [
        (_LOAD, 0, 0, _MACHINE),
        (_IF_EQUAL, 0, 5, machine),
        (_LOAD, 0, 0, _CALL),
        (_IF_EQUAL, 0, 3, call),
        (_LOAD, 0, 0, _FIRST),
        (_IF_EQUAL, 0, 1, socket.AF_NETLINK),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]


def refuse_netlink() -> None:
    """Have this process, and all that it starts, get no netlink socket any more.

    :raises OSError: if the kernel does not take the filter.
    """
    code = b"".join(struct.pack("=HBBI", *rule) for rule in rules(*_MACHINES[platform.machine()]))
    program = _Program(len(code) // 8, code)
    library = ctypes.CDLL(None, use_errno=True)
    for values in (
        (_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), ctypes.c_ulong(0)),
        (_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(program)),
    ):
        if library.prctl(*values, ctypes.c_ulong(0), ctypes.c_ulong(0)):
            raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


if __name__ == "__main__":
    if platform.machine() in _MACHINES:
        refuse_netlink()
    os.execvp(sys.argv[1], sys.argv[1:])
