"""Where regcachectl looks for the daemon."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.locating import (
    USUAL_SOCKET,
    DaemonAddress,
    NoAddressError,
    configured_socket,
    locate,
)


class LocatingTests(SynchronousTestCase):
    """The first that is named."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.environ = {"REGCACHE_SOCKET": "/of/environment"}

    def file(self, text: str, name: str = "regcache.yml") -> str:
        """A configuration file."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def test_order(self) -> None:
        """Socket, URL, environment, -c, the files of packages, the usual socket."""
        chosen = self.file("admin: {socket: /of/file}")
        usual = self.file("admin: {socket: /of/usual}", "usual.yml")
        missing = str(self.folder / "none.yml")
        for named, environ, files, found in (
            (("/s", "http://u", chosen), self.environ, [usual], "/s"),
            ((None, "http://u/", chosen), self.environ, [usual], "http://u"),
            ((None, None, chosen), self.environ, [usual], "/of/environment"),
            ((None, None, chosen), {}, [usual], "/of/file"),
            ((None, None, None), {}, [missing, usual], "/of/usual"),
            ((None, None, None), {}, [missing], USUAL_SOCKET),
        ):
            address = locate(*named, environ=environ, files=files)
            self.assertEqual(str(address), found)
            self.assertEqual(bool(address.url), found.startswith("http"))

    def test_missing(self) -> None:
        """A file that was named must be there."""
        path = str(self.folder / "none.yml")
        error = self.assertRaises(NoAddressError, locate, None, None, path, environ={}, files=[])
        self.assertIn(path, str(error))

    def test_no_url(self) -> None:
        """What is no URL is refused before anybody is asked."""
        error = self.assertRaises(NoAddressError, locate, None, "localhost:5001", None, environ={})
        self.assertIn("begins with http://", str(error))

    def test_configured(self) -> None:
        """The socket is found in a file with other errors; without one the usual is asked."""
        for text, socket in (
            ("admin: {socket: /a/b}", "/a/b"),
            ("nonsense: 1\nadmin:\n  socket: '/a/b'\n", "/a/b"),
            ("admin: {socket: run/b}", str(self.folder / "run/b")),
            ("admin: {socket: null}", None),
            ("admin: {socket: 5}", None),
            ("admin: 5", None),
            ("admin: {}", None),
            ("", None),
            ("- a", None),
            ("{", None),
        ):
            self.assertEqual(configured_socket(self.file(text)), socket, text)
        chosen = self.file("")
        self.assertEqual(
            locate(None, None, chosen, environ={}, files=[]), DaemonAddress(USUAL_SOCKET)
        )
