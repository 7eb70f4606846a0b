"""Tests for regcache.config.upstream_longform: who gets which credentials."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.upstream_settings import UrlSettings
from tests.config.helpers import errors, loaded, warnings

HUB = "https://registry-1.docker.io"


def endpoints(text: str) -> tuple[UrlSettings, ...]:
    """The URLs of the only upstream of a text."""
    (upstream,) = loaded(text).config.upstreams
    return upstream.urls


class CredentialTests(SynchronousTestCase):
    """Tests for the rule that credentials belong to one URL."""

    def test_built_in_url(self) -> None:
        """Credentials of a known name go to its built-in URL and to no other."""
        found = endpoints(
            f"upstreams: {{docker.io: {{username: me, password: x, urls: [http://m, '{HUB}/']}}}}"
        )
        self.assertEqual(
            found,
            (
                UrlSettings("http://m"),
                UrlSettings(HUB, "me", "x", token_hosts=("auth.docker.io",)),
            ),
        )

    def test_single_url(self) -> None:
        """Credentials of any other name go to its single URL."""
        found = endpoints(
            "upstreams: {a: {username: me, password: x, token_hosts: [t], urls: [http://m]}}"
        )
        self.assertEqual(found, (UrlSettings("http://m", "me", "x", token_hosts=("t",)),))

    def test_own_credentials(self) -> None:
        """An entry's own credentials and token hosts stand for themselves."""
        found = endpoints(
            f"upstreams: {{docker.io: {{username: me, password: x, urls: ['{HUB}', "
            "{url: http://m, username: you, password: y, token_hosts: [t], ns: true}]}}"
        )
        self.assertEqual(found[0].username, "me")
        self.assertEqual(found[1], UrlSettings("http://m", "you", "y", token_hosts=("t",), ns=True))

    def test_nowhere(self) -> None:
        """Credentials and token hosts that no URL would get are an error."""
        two = "urls: [http://a, http://b]"
        table = {
            "docker.io: {urls: [http://m], username: me, password: x}": "docker.io.username",
            "docker.io: {urls: [http://m], token_hosts: [t]}": "docker.io.token_hosts",
            f"a: {{{two}, username: me, password: x}}": "a.username",
            f"a: {{{two}, token_hosts: [t]}}": "a.token_hosts",
            "a: {username: u, password: x, urls: [{url: http://m, username: v, password: y}]}": (
                "a.username"
            ),
        }
        for text, key in table.items():
            found = errors(f"upstreams:\n  {text}")
            self.assertEqual(len(found), 1, found)
            self.assertTrue(
                found[0].startswith(f"2: upstreams.{key}: would be used nowhere"), found
            )

    def test_incomplete(self) -> None:
        """A user name needs exactly one password, and a password a user name."""
        table = {
            "username: me": "username: needs password",
            "password: x": "password: needs username",
            "username: me, password: x, password_file: /etc/hostname": "username: has password and",
            "username: 5, password: x": "username: expected text",
            "username: 'a:b', password: x": "username: an account may not",
        }
        for text, why in table.items():
            found = errors(f"upstreams: {{quay.io: {{{text}}}}}")
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(f"1: upstreams.quay.io.{why}"), found)
            self.assertEqual(
                len(errors(f"upstreams: {{a: {{urls: [{{url: http://m, {text}}}]}}}}")), 1
            )

    def test_secrets_stay_out_of_repr(self) -> None:
        """A configuration can be logged without its passwords."""
        result = loaded("upstreams: {quay.io: {username: me, password: s3cret}}")
        self.assertEqual(result.config.upstreams[0].urls[0].password, "s3cret")
        self.assertNotIn("s3cret", repr(result.config))


class PasswordFileTests(SynchronousTestCase):
    """Tests for ``password_file``."""

    def write(self, content: bytes, mode: int = 0o600) -> str:
        """A file with some content."""
        path = Path(self.mktemp()).absolute()
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    def text(self, path: str) -> str:
        """A configuration that names the file."""
        return f"upstreams: {{quay.io: {{username: me, password_file: '{path}'}}}}"

    def test_line_end(self) -> None:
        """The end of the line does not belong to the password; spaces do."""
        for content, password in {
            b"x": "x",
            b"x\n": "x",
            b"x\r\n": "x",
            b" x \n": " x ",
            "gehäim\n".encode(): "gehäim",
        }.items():
            path = self.write(content)
            (found,) = endpoints(self.text(path))
            self.assertEqual((found.password, found.password_file), (password, path))

    def test_bad_files(self) -> None:
        """A file that is missing, empty, binary or of two lines is an error without its content."""
        paths = [self.write(content) for content in (b"", b"\n", b"s3\ncret\n", b"\xff", b"\0")]
        for path in [*paths, "/nowhere/x"]:
            found = errors(self.text(path))
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(f"1: upstreams.quay.io.password_file: {path}"))
            self.assertNotIn("cret", found[0])

    def test_world_readable(self) -> None:
        """A file that every local user may read is a warning."""
        found = warnings(self.text(self.write(b"x", 0o644)))
        self.assertEqual(len(found), 1)
        self.assertIn("upstreams.quay.io.password_file: ", found[0])
        self.assertEqual(warnings(self.text(self.write(b"x", 0o640))), [])
