"""Threads for work that may block."""

# ruff: noqa: N805 - methods of a zope interface have no self

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IWorkPool(Interface):
    """Threads for work that may block: disk, hashing, SQLite, bcrypt."""

    def run(function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        """Call ``function(*args)`` in a thread; fires in the reactor thread."""
