"""Dataclasses that take little to define: the daemon has hundreds, and a start defines them all.

``dataclasses`` writes and compiles up to six methods of each class. Here the same ``__eq__``,
``__hash__`` and ``__repr__`` are plain functions, and of ``frozen`` there is what mypy checks, and
the hash: nothing stands in the way of an assignment at run time, nor slows ``__init__`` down.
Everything else is as in ``dataclasses``, to whose functions these classes are dataclasses.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True, **options):
        """As ``dataclasses.dataclass``, without ``order`` and ``unsafe_hash``."""
        if cls is None:
            return lambda each: dataclass(each, frozen=frozen, eq=eq, repr=repr, **options)
        own = vars(cls)
        has_repr, has_eq = "__repr__" in own, "__eq__" in own
        # A class with an __eq__ of its own has None for a hash, unless it says more.
        has_hash = own.get("__hash__") is not None or ("__hash__" in own and not has_eq)
        cls = dataclasses.dataclass(cls, eq=False, repr=False, **options)
        if repr and not has_repr:
            cls.__repr__ = _represent
        if eq and not has_eq:
            cls.__eq__ = _equality(cls)
        if eq and not has_hash:
            cls.__hash__ = _hashing(cls) if frozen else None
        return cls


@recursive_repr("...")
def _represent(self: Any) -> str:
    fields = [each.name for each in dataclasses.fields(self) if each.repr]
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in fields)
    return f"{type(self).__qualname__}({values})"


def _equality(cls: type[Any]) -> Callable[[Any, Any], bool]:
    values = _values([each.name for each in dataclasses.fields(cls) if each.compare])

    def __eq__(self: Any, other: Any) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return __eq__


def _hashing(cls: type[Any]) -> Callable[[Any], int]:
    fields = dataclasses.fields(cls)
    hashed = [each.name for each in fields if (each.compare if each.hash is None else each.hash)]
    values = _values(hashed)

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _values(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda self: ()
    values = attrgetter(*names)
    return values if len(names) > 1 else lambda self: (values(self),)
