"""Tests for regcache.config.enforcement."""

from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.enforcement import PENDING, PendingKey, pending_keys
from regcache.config.keys import Pending, Section, key_field, section
from regcache.config.scalars import boolean
from regcache.config.value_types import ListOf, MappingOf
from tests.config.helpers import errors, warnings

#: For every key that restricts: a text that sets it on its second line.
RESTRICTING = {
    "access.htpasswd": "access:\n  htpasswd: /etc/hostname",
    "access.admins": "access:\n  admins: [bob]",
    "access.rules": "access:\n  rules: [{networks: [10.0.0.0/8]}]",
    "access.token": "access:\n  token: {realm: 'https://a', issuer: b, keys_file: /etc/hostname}",
}


class EnforcementTests(SynchronousTestCase):
    """Tests that nothing is promised that is not kept."""

    def test_restricting_keys_are_refused(self) -> None:
        """Each key that restricts and is not enforced refuses the start, naming it."""
        for row in PENDING:
            if row.pending is Pending.REFUSED:
                key = ".".join(row.path)
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

    def test_nothing_is_pending(self) -> None:
        """Every key is in effect."""
        self.assertEqual(PENDING, [])
        self.assertEqual(warnings("ui:\n  title: x"), [])

    def test_any_depth(self) -> None:
        """A key is found wherever it stands, within lists and mappings too."""

        @dataclass(frozen=True)
        class Inner:
            a: bool = key_field(boolean(), "A.", default=False, pending=Pending.REFUSED)

        @dataclass(frozen=True)
        class Outer:
            b: tuple[Inner, ...] = key_field(ListOf(section(Inner)), "B.", default=())
            c: bool = key_field(boolean(), "C.", default=True, pending=Pending.WARNED)

        outer: Section[Outer] = section(Outer)
        self.assertEqual(
            list(pending_keys(outer)),
            [
                PendingKey(("b", "*", "a"), Pending.REFUSED, False),
                PendingKey(("c",), Pending.WARNED, True),
            ],
        )

        @dataclass(frozen=True)
        class Root:
            d: dict[str, Outer] = key_field(MappingOf(str, outer), "D.", default=None)

        paths = [".".join(row.path) for row in pending_keys(section(Root))]
        self.assertEqual(paths, ["d.*.b.*.a", "d.*.c"])
