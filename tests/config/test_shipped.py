"""Tests that the shipped example and the reference are those of the schema."""

from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regcache.config.example import render_example
from regcache.config.loading import load, loads
from regcache.config.reference import fill_in
from tests.config.schema_walk import every_key

TREE = Path(__file__).parents[2]
EXAMPLE = TREE / "etc" / "regcache.yml"
REFERENCE = TREE / "docs" / "configuration.md"


class _FirstOfTwo(yaml.SafeLoader):
    """Takes the first of two values of a key: the default, which stands above another one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A section of keys."""
        node.value = node.value[::-1]
        return super().construct_mapping(node, deep)


class ShippedTests(SynchronousTestCase):
    """Tests for etc/regcache.yml and docs/configuration.md."""

    def test_written_by_the_schema(self) -> None:
        """Both files are what ``make docs`` writes."""
        self.assertEqual(EXAMPLE.read_text(), render_example())
        reference = REFERENCE.read_text()
        self.assertEqual(reference, fill_in(reference))

    def test_every_key_is_shown(self) -> None:
        """Every key of the schema has a row in the reference, and stands in the example."""
        example, reference = EXAMPLE.read_text(), REFERENCE.read_text()
        for path in every_key():
            name = path.rpartition(".")[2]
            self.assertRegex(example, rf"(?m)(?:^[# -]*|[{{,] ?){name}\b", name)
            self.assertRegex(reference, rf"(?m)(?:^\| `(?:.*\.)?|^## .*){name}\b", name)

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

    def test_commented_defaults_are_taken(self) -> None:
        """The defaults that stand in comments may be written as they are."""
        lines = EXAMPLE.read_text().partition("\n\n")[2].split("\n")
        plain = "\n".join(line.replace("# ", "", 1) for line in lines if "# ---" not in line)
        document = yaml.load(plain, _FirstOfTwo)
        document["notify"]["on"] = document["notify"].pop(True)  # what YAML 1.1 makes of the key
        loaded = loads(yaml.safe_dump(document), "regcache.yml", {})
        self.assertEqual(loaded.config.storage, load(str(EXAMPLE), {}).config.storage)
        self.assertEqual(loaded.config.limits, load(str(EXAMPLE), {}).config.limits)
        self.assertEqual(loaded.config.access, load(str(EXAMPLE), {}).config.access)

    def test_commented_keys_are_keys(self) -> None:
        """The example with the comments taken away is a file of the same keys."""
        lines = EXAMPLE.read_text().partition("\n\n")[2].split("\n")
        plain = [line.replace("# ", "", 1).rstrip() for line in lines if "# ---" not in line]
        document = yaml.safe_load("\n".join(plain))
        self.assertEqual(document["storage"]["min_free"], "2GiB")
        self.assertEqual(document["listeners"][0]["tls"]["minimum"], "TLSv1.2")
        self.assertEqual(document["upstreams"]["docker.io"]["max_downloads"], 16)
        self.assertEqual(document["access"]["token"]["issuer"], "auth.example.com")
