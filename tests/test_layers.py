"""Checks the layers of docs/architecture.md, and the sizes of modules, classes and functions."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

CHECKOUT = Path(__file__).resolve().parents[1]

MOST_MODULE_LINES = 400
MOST_CLASS_LINES = 200
MOST_FUNCTION_LINES = 40
MOST_POSITIONAL = 4

#: File names that several packages have, since each of these makes plain what is meant
#: (docs/architecture.md).
SHARED_FILE_NAMES = frozenset({"__init__", "credentials", "index", "reading", "realm"})

#: Modules that put the others together and so know all of them.
ROOT = frozenset(
    {
        "access_control",
        "admin_reloads",
        "admin_seats",
        "admin_storage",
        "cache_parts",
        "checking",
        "admin_api",
        "diagnosis",
        "daemon_metrics",
        "engine",
        "environment",
        "evicting",
        "file_events",
        "image_pulls",
        "in_force",
        "lifecycle",
        "listener_set",
        "notifying",
        "listening",
        "manager_reports",
        "metering",
        "process",
        "reload_steps",
        "reloading",
        "replaced_file",
        "saved_knocks",
        "seat_clients",
        "seat_edits",
        "short_lived",
        "service",
        "tls",
        "tls_context",
        "upstream_examination",
        "upstreams",
        "watched_file",
        "watching",
    }
)

#: What the modules and packages of a layer may import besides themselves.
LAYERS: dict[str, frozenset[str]] = {}


def _layer(name: str, *below: str) -> None:
    LAYERS[name] = frozenset(below)


_layer("values")
_layer("seam", "values")
# How clients are set up: plain texts of plain values, for all who tell it.
_layer("client_setup", "values")
# What is found where something is looked at: facts become lines.
_layer("doctor", "values")
_layer("config", "client_setup", "doctor", "values")
_VALUES = ("seam", "values")
_layer("store", *_VALUES)
_layer("upstream", *_VALUES)
# Nothing in the cache imports a class of the store or of an upstream: it gets interfaces.
_layer("cache", "values")
_layer("access", "values")
_layer("web", "client_setup", "access", "cache", *_VALUES)
# The operator's pages are answered by the same sites as those of clients.
_layer("admin", "client_setup", "doctor", "web", "access", "cache", *_VALUES)
_layer("ctl", "client_setup", "doctor", "config", *_VALUES)
_BELOW_ROOT = (
    "admin",
    "web",
    "access",
    "cache",
    "store",
    "upstream",
    "config",
    "client_setup",
    "doctor",
)
_layer("root", *_BELOW_ROOT, *_VALUES)
_layer("tap", "root", "store", "web", "config", *_VALUES)


@dataclass(frozen=True)
class Import:
    """One import of a module of ours, be it for the type checker only."""

    module: str
    name: str


@dataclass(frozen=True)
class Module:
    """One module of ours."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def layer(self) -> str:
        """The layer that it belongs to: its package, the root, tap, or the values."""
        parts = self.name.split(".")
        if len(parts) > 1 and parts[1] in LAYERS:
            return parts[1]
        return "root" if len(parts) > 1 and parts[1] in ROOT else "values"


@cache
def modules() -> dict[str, Module]:
    """All modules by name."""
    found = {}
    for path in sorted((CHECKOUT / "regcache").rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


@cache  # to walk over all of the code takes seconds
def imports(module: Module) -> tuple[Import, ...]:
    """What a module imports, wherever it does so."""
    return tuple(_walk_imports(module))


def _walk_imports(module: Module) -> Iterator[Import]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name} imports relatively"
            for alias in node.names:
                yield Import(node.module or "", alias.name)


def target(imported: Import) -> str | None:
    """The module of ours that an import loads, or None for other people's."""
    for name in (f"{imported.module}.{imported.name}", imported.module):
        if name in modules():
            return name
    return None


@cache
def loaded(module: Module) -> frozenset[str]:
    """The modules of ours that a module imports."""
    found = {target(each) for each in imports(module)}
    return frozenset(name for name in found if name is not None and name != module.name)


class ArrowTests(SynchronousTestCase):
    """Arrows go down only."""

    def test_layers_are_known(self) -> None:
        """Every folder is a layer, so that none escapes the arrows."""
        folders = {path.parent.name for path in (CHECKOUT / "regcache").glob("*/*.py")}
        self.assertEqual(folders - set(LAYERS) - {"interfaces"}, set())
        self.assertEqual({name for name in ROOT if f"regcache.{name}" not in modules()}, set())

    def test_arrows(self) -> None:
        """A module imports its own layer and those below, for type checking too."""
        wrong = []
        for module in modules().values():
            allowed = {module.layer, *LAYERS[module.layer]}
            for name in loaded(module):
                if modules()[name].layer not in allowed and name != "regcache":
                    wrong.append(f"{module.name} -> {name}")
        self.assertEqual(wrong, [])

    def test_apart(self) -> None:
        """Store and upstream never know each other, and the web knows neither."""
        for layer, other in (("store", "upstream"), ("upstream", "store")):
            self.assertNotIn(other, LAYERS[layer])
        self.assertEqual(LAYERS["web"] & {"store", "upstream", "config"}, set())
        self.assertEqual(LAYERS["cache"] & {"store", "upstream", "config"}, set())

    def test_configuration(self) -> None:
        """Configuration objects are read by the root, the command line and tap alone."""
        readers = {
            module.layer
            for module in modules().values()
            for name in loaded(module)
            if name.startswith("regcache.config")
        }
        self.assertEqual(readers, {"config", "root", "ctl", "tap"})

    def test_reactor(self) -> None:
        """Only tap.py imports the global reactor."""
        users = [
            module.name
            for module in modules().values()
            for each in imports(module)
            if (each.module, each.name) == ("twisted.internet", "reactor")
            or each.module == "twisted.internet.reactor"
        ]
        self.assertEqual(users, ["regcache.tap"])

    def test_dataclasses(self) -> None:
        """Dataclasses are those that take little to define, since a start defines them all."""
        users = [
            module.name
            for module in modules().values()
            for each in imports(module)
            if (each.module, each.name) == ("dataclasses", "dataclass")
        ]
        self.assertEqual(users, ["regcache.light_dataclass"])

    def test_cycles(self) -> None:
        """No module imports itself by way of others, be it for types only."""
        done: set[str] = set()

        def visit(name: str, way: tuple[str, ...]) -> None:
            self.assertNotIn(name, way, " -> ".join((*way, name)))
            if name in done:
                return
            for following in sorted(loaded(modules()[name])):
                visit(following, (*way, name))
            done.add(name)

        for name in modules():
            visit(name, ())


class NameTests(SynchronousTestCase):
    """One name, one meaning."""

    def test_classes(self) -> None:
        """No public class has the name of another."""
        places: dict[str, list[str]] = {}
        for module in modules().values():
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(module.name)
        twice = {name: found for name, found in places.items() if len(found) > 1}
        self.assertEqual(twice, {})

    def test_modules(self) -> None:
        """No file has the name of another, but for those that are listed, and they have."""
        counts = Counter(module.path.stem for module in modules().values())
        twice = {name for name, count in counts.items() if count > 1}
        self.assertEqual(twice, SHARED_FILE_NAMES)


class SizeTests(SynchronousTestCase):
    """Rooms are small."""

    def test_modules(self) -> None:
        """No module has more than 400 lines."""
        long = {
            module.name: count
            for module in modules().values()
            if (count := len(module.path.read_text(encoding="utf-8").splitlines()))
            > MOST_MODULE_LINES
        }
        self.assertEqual(long, {})

    def test_classes(self) -> None:
        """No class has more than 200 lines."""
        long = {
            f"{module.name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
            for module in modules().values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef)
            and (node.end_lineno or 0) - node.lineno + 1 > MOST_CLASS_LINES
        }
        self.assertEqual(long, {})

    def test_functions(self) -> None:
        """No function has more than 40 lines."""
        long = {
            f"{module.name}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
            for module in modules().values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (node.end_lineno or 0) - node.lineno + 1 > MOST_FUNCTION_LINES
        }
        self.assertEqual(long, {})

    def test_parameters(self) -> None:
        """What takes more than four values takes the rest by name."""
        many = [
            f"{module.name}.{node.name}"
            for module in modules().values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and len(_positional(node)) > MOST_POSITIONAL
        ]
        self.assertEqual(many, [])

    def test_fields(self) -> None:
        """A dataclass of more than four fields takes the rest by name."""
        many = [
            f"{module}.{node.name}"
            for module, node in _classes()
            if _decorator(node) is not None and len(_positional_fields(node)) > MOST_POSITIONAL
        ]
        self.assertEqual(many, [])

    def test_named_tuples(self) -> None:
        """A named tuple of more than four fields gets the rest by name, but for whole rows."""
        tuples = {node.name for _, node in _classes() if _is_named_tuple(node)}
        many = [
            f"{module.name}:{node.lineno}"
            for module in modules().values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in tuples
            and len(node.args) > MOST_POSITIONAL
        ]
        self.assertEqual(many, [])

    def test_docstrings(self) -> None:
        """Every module, and every public class and function in one, says what it is for."""
        silent = [
            f"{module.name}.{getattr(node, 'name', '')}"
            for module in modules().values()
            for node in (module.tree, *module.tree.body)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and not getattr(node, "name", "").startswith("_")
            and ast.get_docstring(node) is None
        ]
        self.assertEqual(silent, [])


def _positional(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The parameters that may be given by position, without those that all such functions have."""
    given = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    return [name for name in given if name not in ("self", "cls", "connection")]


@cache
def _classes() -> tuple[tuple[str, ast.ClassDef], ...]:
    """All classes, each with the name of its module."""
    return tuple(
        (module.name, node)
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    )


def _is_named_tuple(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) == "NamedTuple" for base in node.bases)


def _decorator(node: ast.ClassDef) -> str | None:
    """What makes it a dataclass; None if it is none."""
    texts = [ast.unparse(each) for each in node.decorator_list]
    return next((text for text in texts if text.startswith("dataclass")), None)


def _positional_fields(node: ast.ClassDef) -> list[str]:
    """The fields of a dataclass that may be given by position, those of its bases too."""
    names = {ast.unparse(each) for each in node.bases}
    bases = [each for _, each in _classes() if each.name in names and each is not node]
    found = [name for base in bases for name in _positional_fields(base)]
    decorator = _decorator(node)
    if decorator is None or "kw_only=True" in decorator:
        return found
    for field in node.body:
        if not isinstance(field, ast.AnnAssign):
            continue
        annotation = ast.unparse(field.annotation)
        if annotation == "KW_ONLY":
            break
        by_name = field.value is not None and re.search(
            "(init=False|kw_only=True)", ast.unparse(field.value)
        )
        if not by_name and not annotation.startswith("ClassVar"):
            found.append(ast.unparse(field.target))
    return found


class DocumentTests(SynchronousTestCase):
    """What docs/architecture.md says of the modules."""

    def test_names(self) -> None:
        """Each module that docs/architecture.md names is there."""
        text = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
        named = set(re.findall(r"`([a-z0-9_/]+\.py)`", text))
        missing = {
            name
            for name in named
            if not any((folder / name).exists() for folder in (CHECKOUT, CHECKOUT / "regcache"))
        }
        self.assertEqual(missing, set())
