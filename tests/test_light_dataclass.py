"""What our dataclasses do is what those of the standard library do."""

import copy
import dataclasses
import pickle
from dataclasses import field
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class _Frozen:
    """Two values of three count, and two are shown."""

    name: str
    secret: str = field(default="", repr=False)
    note: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class _Further(_Frozen):
    more: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Alone:
    value: object


@dataclass(frozen=True)
class _Nothing:
    pass


@dataclass
class _Open:
    value: int = 0
    values: list[object] = field(default_factory=list)


@dataclass(frozen=True, eq=False, repr=False)
class _Itself:
    value: int = 0


@dataclass(frozen=True)
class _OwnWords:
    value: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _OwnWords)

    def __repr__(self) -> str:
        return "own words"


@dataclass(frozen=True)
class _OwnHash:
    value: int

    def __hash__(self) -> int:
        return 5


@dataclass
class _FoldedHash:
    value: int = field(default=0, hash=False)

    def __hash__(self) -> int:
        return 6


class EqualityTests(SynchronousTestCase):
    """What is equal, and what it is good for as a key."""

    def test_values(self) -> None:
        """Equal values make equal objects, and what does not count is not looked at."""
        self.assertEqual(_Frozen("a", "b", 1), _Frozen("a", "b", 2))
        self.assertNotEqual(_Frozen("a", "b"), _Frozen("a", "c"))
        self.assertEqual(_Alone("a"), _Alone("a"))
        self.assertNotEqual(_Alone("a"), _Alone("b"))
        self.assertEqual(_Nothing(), _Nothing())

    def test_classes(self) -> None:
        """Objects of different classes are not equal, nor is a tuple of the same values."""
        self.assertNotEqual(_Frozen("a"), _Further("a"))
        self.assertNotEqual(_Alone("a"), ("a",))
        self.assertFalse(_Nothing() == ())

    def test_inherited(self) -> None:
        """The fields of the base count, too."""
        self.assertEqual(_Further("a", more=(1,)), _Further("a", more=(1,)))
        self.assertNotEqual(_Further("a", more=(1,)), _Further("b", more=(1,)))
        self.assertNotEqual(_Further("a", more=(1,)), _Further("a", more=(2,)))

    def test_hash(self) -> None:
        """What is frozen is a key by its values; what is not is none."""
        self.assertEqual({_Frozen("a", "b", 1): 1}[_Frozen("a", "b", 2)], 1)
        self.assertEqual(len({_Alone("a"), _Alone("a"), _Alone("b"), _Nothing(), _Nothing()}), 3)
        self.assertRaises(TypeError, hash, _Open())

    def test_off(self) -> None:
        """With eq=False an object is equal to itself alone, and a key."""
        one, other = _Itself(), _Itself()
        self.assertNotEqual(one, other)
        self.assertEqual(len({one, other}), 2)

    def test_own(self) -> None:
        """What a class has of its own stays."""
        self.assertEqual(_OwnWords(1), _OwnWords(2))
        self.assertEqual(repr(_OwnWords(1)), "own words")
        self.assertNotEqual(hash(_OwnWords(1)), hash(_OwnWords(2)))  # as in the standard library
        self.assertEqual((hash(_OwnHash(1)), hash(_FoldedHash())), (5, 6))
        self.assertNotEqual(_OwnHash(1), _OwnHash(2))


class RepresentationTests(SynchronousTestCase):
    """What is shown of an object."""

    def test_fields(self) -> None:
        """All fields but those that are not to be shown."""
        self.assertTrue(repr(_Frozen("a", "secret", 3)).endswith("_Frozen(name='a', note=3)"))
        self.assertEqual(repr(_Further("a", more=(1,))), "_Further(name='a', note=0, more=(1,))")
        self.assertEqual(repr(_Nothing()), "_Nothing()")

    def test_itself(self) -> None:
        """An object that holds itself can be shown."""
        one = _Open()
        one.values.append(one)
        self.assertEqual(repr(one), "_Open(value=0, values=[...])")

    def test_off(self) -> None:
        """With repr=False no value is shown."""
        self.assertNotIn("value", repr(_Itself()))


class FunctionTests(SynchronousTestCase):
    """What ``dataclasses``, ``copy`` and ``pickle`` do with them."""

    def test_replace(self) -> None:
        """A copy with another value is of the same class, and leaves the first as it was."""
        one = _Further("a", "b", 1, (2,))
        self.assertEqual(dataclasses.replace(one, name="c"), _Further("c", "b", 1, (2,)))
        self.assertEqual(one.name, "a")

    def test_fields(self) -> None:
        """They have the fields of dataclasses, and can be matched by place."""
        self.assertEqual(
            [each.name for each in dataclasses.fields(_Further)], ["name", "secret", "note", "more"]
        )
        self.assertEqual(dataclasses.asdict(_Open(1, [2])), {"value": 1, "values": [2]})
        matched: Any = _Alone("a")
        match matched:
            case _Alone(value):
                self.assertEqual(value, "a")
            case _:
                self.fail("not matched")

    def test_slots(self) -> None:
        """With slots there is no dictionary."""
        self.assertFalse(hasattr(_Further("a"), "__dict__"))

    def test_copies(self) -> None:
        """They can be copied and pickled."""
        one = _Further("a", "b", 1, (2,))
        self.assertEqual(copy.deepcopy(one), one)
        self.assertEqual(pickle.loads(pickle.dumps(one)), one)
