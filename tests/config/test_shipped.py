"""Tests that the shipped example and the reference agree with the schema."""

from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.config import load
from regcache.config.known import KNOWN
from regcache.config.schema import ListOf, MappingOf, Section
from regcache.config.sections import ROOT

TREE = Path(__file__).parents[2]
EXAMPLE = TREE / "etc" / "regcache.yml"
REFERENCE = TREE / "docs" / "configuration.md"


def schema_keys(reader: object) -> Iterator[str]:
    """Every key that the schema has, at any depth."""
    if isinstance(reader, Section):
        for name, child in reader.keys.items():
            yield name
            yield from schema_keys(child)
    elif isinstance(reader, ListOf):
        yield from schema_keys(reader.item)
    elif isinstance(reader, MappingOf):
        yield from schema_keys(reader.section)
    else:
        for part in ("of_mapping", "of_list"):
            yield from schema_keys(getattr(reader, part)) if hasattr(reader, part) else ()


class ShippedTests(SynchronousTestCase):
    """Tests for etc/regcache.yml and docs/configuration.md."""

    def test_the_schema_is_walked_whole(self) -> None:
        """The keys of every depth are found."""
        keys = set(schema_keys(ROOT))
        self.assertLessEqual(
            {"domain", "chain", "minimum", "ns", "ttl", "accounts", "keys_file", "drain"}, keys
        )

    def test_the_example_loads(self) -> None:
        """The example loads without any variable, and means six registries on loopback."""
        loaded = load(str(EXAMPLE), {})
        self.assertEqual(loaded.warnings, [])
        six = ["docker.io", "gcr.io", "registry.k8s.io", "quay.io", "ghcr.io"]
        six.append("mcr.microsoft.com")
        self.assertEqual([upstream.name for upstream in loaded.config.upstreams], six)
        (listener,) = loaded.config.listeners
        self.assertEqual(listener.endpoint, "tcp:5000:interface=127.0.0.1")
        self.assertEqual(loaded.config.storage.directory, "/var/lib/regcache")

    def test_every_key_is_shown(self) -> None:
        """Every key of the schema stands in the example and in the reference."""
        example, reference = EXAMPLE.read_text(), REFERENCE.read_text()
        for key in set(schema_keys(ROOT)):
            self.assertRegex(example, rf"(?m)(?:^[# -]*|[{{,] ?){key}\b", key)
            self.assertRegex(reference, rf"[`.]{key}`|## .*{key}", key)

    def test_commented_defaults_are_the_defaults(self) -> None:
        """The example with its comments taken away sets the defaults that it claims to show."""
        lines = EXAMPLE.read_text().split("\n")
        start = lines.index("# storage:")
        section = [line[2:] for line in lines[start : start + 9]]
        path = Path(self.mktemp())
        path.write_text("\n".join(section))
        self.assertEqual(load(str(path), {}).config.storage, load(str(EXAMPLE), {}).config.storage)

    def test_known_names_are_in_the_reference(self) -> None:
        """Every known registry stands in the reference with its URL, token hosts and aliases."""
        rows = REFERENCE.read_text().split("\n")
        for name, known in KNOWN.items():
            (row,) = [line for line in rows if line.startswith(f"| `{name}` |")]
            for word in (known.url, *known.token_hosts, *known.aliases):
                self.assertIn(f"`{word}`", row)
