"""The boundary: nothing outside the seam touches what is private to others."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.application.service import Service
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from zope.interface import implementedBy

from tests.test_layers import Module, modules

_BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr"})
_FOREIGN = frozenset({"twisted", "OpenSSL", "h2", "hpack", "hyperframe"})
#: What named tuples offer to everybody, under names that cannot be those of a field.
_OF_NAMED_TUPLES = frozenset({"_asdict", "_fields", "_make", "_replace"})
_SAID = ("Private: ", "Why: ", "Replaced by: ")


def is_private(name: object) -> bool:
    """Whether a name is one that its owner keeps to himself."""
    if not isinstance(name, str) or name in _OF_NAMED_TUPLES:
        return False
    return name.startswith("_") and not name.startswith("__")


def outside() -> Iterator[Module]:
    """All modules but those of the seam."""
    return (module for module in modules().values() if module.layer != "seam")


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def touches(tree: ast.AST) -> Iterator[str]:
    """The places where a module touches what is private to another one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if is_private(node.attr) and not _is_self(node.value):
                yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.args[1] if node.func.id in _BY_NAME and len(node.args) > 1 else None
            if isinstance(name, ast.Constant) and is_private(name.value):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            if any(map(is_private, names)):
                yield ast.unparse(node)
        elif isinstance(node, ast.Import):
            if any(is_private(part) for alias in node.names for part in alias.name.split(".")):
                yield ast.unparse(node)


def foreign_bases(cls: type) -> list[type]:
    """The classes of others that a class extends."""
    return [base for base in cls.__mro__ if base.__module__.partition(".")[0] in _FOREIGN]


@cache
def private_names(base: type) -> frozenset[str]:
    """The private names that a class uses in its own source."""
    try:
        tree = ast.parse(dedent(inspect.getsource(base)))
    except (OSError, TypeError):
        return frozenset(filter(is_private, vars(base)))
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return frozenset(filter(is_private, {*found, *vars(base)}))


def names_of(node: ast.ClassDef) -> set[str]:
    """The names that a class uses of itself: attributes, methods and variables."""
    names = {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and (_is_self(each.value) or ast.unparse(each.value) == "super()")
    }
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(each.name)
        elif isinstance(each, ast.Assign):
            names.update(target.id for target in each.targets if isinstance(target, ast.Name))
    return names


def undocumented(cls: type, name: str) -> bool:
    """Whether a method replaces one of another's class that nobody has described."""
    for base in foreign_bases(cls):
        if callable(vars(base).get(name)) and not is_private(name) and not name.startswith("__"):
            described = any(name in interface for interface in implementedBy(base))
            return not described and not inspect.getdoc(vars(base)[name])
    return False


def heirs() -> Iterator[tuple[str, type, ast.ClassDef]]:
    """Our classes outside the seam that extend others' classes."""
    for module in outside():
        if module.name.endswith("__main__"):
            continue
        loaded: Any = importlib.import_module(module.name)
        for node in module.tree.body:
            cls = getattr(loaded, node.name, None) if isinstance(node, ast.ClassDef) else None
            if isinstance(cls, type) and isinstance(node, ast.ClassDef) and foreign_bases(cls):
                yield f"{module.name}.{node.name}", cls, node


class BoundaryTests(SynchronousTestCase):
    """What lies outside."""

    def test_attributes(self) -> None:
        """No module touches a private attribute of another object, be it one of ours."""
        found = [f"{module.name}: {each}" for module in outside() for each in touches(module.tree)]
        self.assertEqual(found, [])

    def test_heirs(self) -> None:
        """No class uses, replaces or takes by chance a private name of a class that it extends."""
        found = [
            f"{name}: {private} of {base.__name__}"
            for name, cls, node in heirs()
            for base in foreign_bases(cls)
            for private in sorted(names_of(node) & private_names(base))
        ]
        self.assertEqual(found, [])

    def test_replaced_methods(self) -> None:
        """No class replaces a method that its owner has not described."""
        found = [
            f"{name}: {method}"
            for name, cls, node in heirs()
            for method in sorted(names_of(node))
            if method in vars(cls) and undocumented(cls, method)
        ]
        self.assertEqual(found, [])

    def test_finds(self) -> None:
        """Each way to touch what is private is found, and what is one's own is not."""
        touched = """
            a._b
            self.a._b
            super()._b
            getattr(a, "_b", None)
            setattr(a, "_b", 1)
            import a._b
            from a._b import c
            from a import _b as c
        """
        for line in inspect.cleandoc(touched).splitlines():
            self.assertEqual(list(touches(ast.parse(line))), [line.replace('"', "'")])
        own = """
            self._b
            cls._b
            a.__dict__
            getattr(a, "b")
            from __future__ import annotations
        """
        for line in inspect.cleandoc(own).splitlines():
            self.assertEqual(list(touches(ast.parse(line))), [])

    def test_finds_heirs(self) -> None:
        """So is what belongs to a class that is extended."""

        class Heir(HTTPChannel):
            def allContentReceived(self) -> None:
                """Replaced, and not described by its owner."""

            def lineReceived(self, line: bytes) -> None:
                """Replaced, and described by its owner."""

        class Other(Service):
            def startService(self) -> None:
                """Replaced, and described by an interface of its owner."""

        self.assertTrue(undocumented(Heir, "allContentReceived"))
        self.assertFalse(undocumented(Heir, "lineReceived"))
        self.assertFalse(undocumented(Other, "startService"))
        text = "class A:\n _b = 1\n def _c(self):\n  super()._d(self._e, other._f)"
        node = ast.parse(text).body[0]
        assert isinstance(node, ast.ClassDef)
        self.assertEqual(names_of(node), {"_b", "_c", "_d", "_e"})
        private = private_names(HTTPChannel)
        self.assertLessEqual({"_path", "_waitingForTransport"}, private)


class ModuleTests(SynchronousTestCase):
    """What lies within."""

    def test_said(self) -> None:
        """Each module says what it touches, why, and what would replace it."""
        for module in modules().values():
            if module.name.startswith("regcache.seam."):
                said = ast.get_docstring(module.tree) or ""
                begins = [part for part in _SAID if f"\n\n{part}" in said]
                self.assertEqual(begins, list(_SAID), module.name)

    def test_tested(self) -> None:
        """Each module has a test of its own."""
        tests = {path.name for path in Path(__file__).parent.glob("test_*.py")}
        untested = [
            module.name
            for module in modules().values()
            if module.name.startswith("regcache.seam.") and f"test_{module.path.name}" not in tests
        ]
        self.assertEqual(untested, [])
