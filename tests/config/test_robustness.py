"""Property tests: no text makes the loader fail in another way than ConfigError."""

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regcache.config.loading import loads
from regcache.config.model import ROOT
from regcache.config.printing import render
from regcache.config.problems import ConfigError
from tests.config.schema_walk import every_key

NAMES = {path.rpartition(".")[2] for path in every_key()}
KEYS = sorted({*NAMES, "docker.io", "quay.io", "a.example:5000", "<<", "x"})
VALUES = [
    *["5m", "0", "80%", "1GiB", "*", "a/*", "true", "http://a", "https://u:p@b/", "direct", "***"],
    *["tcp:5000", "unix:/x", "haproxy:tcp:1", "0 4 * * *", "10.0.0.0/8", "8.8.8.8", "${X}", "${Y}"],
    *[
        "[::1]",
        "*.example.com",
        "gone",
        "ipv4",
        "pull",
        "/etc/hostname",
        "/",
        "max-age=1",
        "\ud800",
    ],
]
SCALARS = st.one_of(
    st.sampled_from(VALUES),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda child: st.one_of(
        st.lists(child, max_size=4), st.dictionaries(st.sampled_from(KEYS), child, max_size=5)
    ),
    max_leaves=25,
)


class RobustnessTests(SynchronousTestCase):
    """Tests with arbitrary input."""

    def check(self, text: str) -> None:
        """A text loads, and its long form too, or gives printable lines."""
        try:
            loaded = loads(text, "x.yml", {"X": "y"})
        except ConfigError as fault:
            self.assertTrue(fault.lines)
            for line in fault.lines:
                self.assertRegex(line, r"^x\.yml:[0-9]+: ")
                self.assertTrue(line.isprintable(), line)
        else:
            again = loads(render(loaded.config), "x.yml", {})
            self.assertEqual(len(again.config.upstreams), len(loaded.config.upstreams))

    @settings(deadline=None, max_examples=150)
    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text is answered."""
        self.check(text)

    @settings(deadline=None, max_examples=150)
    @given(st.text("ab:-[]{}*&!%@`'\"|>?#,.~0159 \n\t\\", max_size=60))
    def test_any_punctuation(self, text: str) -> None:
        """Any text of YAML's own characters is answered."""
        self.check(text)

    @settings(deadline=None, max_examples=300)
    @given(st.dictionaries(st.sampled_from(sorted(ROOT.keys)), TREES, max_size=6))
    def test_any_tree(self, tree: dict[str, Any]) -> None:
        """Any tree of the schema's keys and plausible values is answered."""
        self.check(yaml.safe_dump(tree, allow_unicode=False))

    @settings(deadline=None, max_examples=200)
    @given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8))
    def test_any_upstream(self, tree: dict[str, Any]) -> None:
        """Any settings of an upstream are answered."""
        self.check(yaml.safe_dump({"upstreams": {"docker.io": tree, "a": tree}}))
