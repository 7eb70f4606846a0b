"""Tests for regcache.config.enforcement."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.enforcement import MISSING
from regcache.config.schema import ListOf, MappingOf, Section
from regcache.config.sections import ROOT
from tests.config.helpers import errors, warnings

#: For every key that restricts: a text that sets it on its second line.
RESTRICTING = {
    "access.htpasswd": "access:\n  htpasswd: /etc/hostname",
    "access.admins": "access:\n  admins: [bob]",
    "access.rules": "access:\n  rules: [{networks: [10.0.0.0/8]}]",
    "access.token": "access:\n  token: {realm: 'https://a', issuer: b, keys_file: /etc/hostname}",
    "admin.hosts": "admin:\n  hosts: [ui.example.com]",
    "limits.connections": "limits:\n  connections: 4096",
    "limits.connections_per_address": "limits:\n  connections_per_address: 256",
}


def exists(path: tuple[str, ...]) -> bool:
    """Whether the schema has a key."""
    reader: object = ROOT
    for part in path:
        if part == "*":
            assert isinstance(reader, MappingOf | ListOf)
            reader = reader.section if isinstance(reader, MappingOf) else reader.item
        elif isinstance(reader, Section) and part in reader.keys:
            reader = reader.keys[part]
        else:
            return False
    return True


class EnforcementTests(SynchronousTestCase):
    """Tests that nothing is promised that is not kept."""

    def test_restricting_keys_are_refused(self) -> None:
        """Each key that restricts and is not enforced refuses the start, naming it."""
        for row in MISSING:
            if row.restricts:
                key = ".".join(row.key)
                found = [line for line in errors(RESTRICTING[key]) if "not enforced" in line]
                self.assertEqual(len(found), 1, key)
                self.assertTrue(found[0].startswith(f"2: {key}: "), found)

    def test_switched_off_keys_are_accepted(self) -> None:
        """Keys that are set to nothing restrict nobody."""
        text = "access: {htpasswd: null, admins: [], rules: [], token: null}\nadmin: {hosts: []}"
        self.assertEqual(errors(text), [])
        self.assertEqual(warnings(text + "\ncors_origins: []\nstorage: {purge: null}"), [])

    def test_allow_and_deny_are_accepted(self) -> None:
        """Allow and deny are enforced, so they are neither refused nor warned of."""
        self.assertEqual(warnings("upstreams: {quay.io: {allow: ['a/*'], deny: ['a/b']}}"), [])

    def test_admin_host_of_the_domain(self) -> None:
        """The UI's host that a domain brings is no user's wish, written out or not."""
        for text in ("domain: a.b", "domain: a.b\nadmin: {hosts: [registry.a.b]}"):
            self.assertEqual(errors(text), [])
        self.assertEqual(len(errors("domain: a.b\nadmin: {hosts: [ui.a.b]}")), 1)

    def test_other_keys_are_warned_of(self) -> None:
        """A key whose feature is missing is one warning that names it."""
        row = next(row for row in MISSING if row.key == ("storage", "purge"))
        self.assertFalse(row.restricts)
        self.assertEqual(
            warnings("storage:\n  purge: 0 4 * * *"), ["2: storage.purge: is not in effect yet"]
        )

    def test_rows_name_real_keys(self) -> None:
        """Every row is a key of the schema, and stands in the reference."""
        reference = Path(__file__).parents[2].joinpath("docs/configuration.md").read_text()
        listed = reference.partition("## Not there yet")[2]
        for row in MISSING:
            self.assertTrue(exists(row.key), row)
            name = ".".join(row.key).replace("listeners.*", "listeners[]")
            self.assertIn(f"`{name}`", listed)
