"""Tests for regcachectl passwd."""

import contextlib
import io
import os
import stat
import sys
from pathlib import Path
from unittest import mock

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.main import main
from regcache.htpasswd import parse_htpasswd
from regcache.whole_file import MOST_BYTES
from tests.access.accounts import hashed

SECRET = "correct horse"


class PasswdCase(SynchronousTestCase):
    """Runs the command in this process; bcrypt is as fast as it can be."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.file = folder / "htpasswd"
        self.patch(sys.modules["regcache.ctl.passwd"], "COST", 4)

    def passwd(self, *arguments: str, stdin: bytes = SECRET.encode() + b"\n") -> int:
        """Run it with the test's file; its output is in ``out`` and ``err``."""
        out, err = io.StringIO(), io.StringIO()
        text = io.TextIOWrapper(io.BytesIO(stdin))
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch("sys.stdin", text),
        ):
            try:
                status = main(["passwd", str(self.file), *arguments])
            except SystemExit as stop:
                status = int(str(stop.code))
        self.out, self.err = out.getvalue(), err.getvalue()
        return status

    def is_right(self, name: str, password: str) -> bool:
        """Whether a login would be right."""
        accounts = parse_htpasswd(self.file.read_text(), "file")
        return bcrypt.checkpw(password.encode(), accounts[name])


class ChangeTests(PasswdCase):
    """What becomes of the file."""

    def test_new_file(self) -> None:
        """A file that is missing is made, for its owner alone."""
        self.assertEqual(self.passwd("alice"), 0, getattr(self, "err", ""))
        self.assertTrue(self.is_right("alice", SECRET))
        self.assertFalse(self.is_right("alice", "wrong"))
        self.assertIn(stat.S_IMODE(self.file.stat().st_mode), (0o600, 0o640))
        self.assertIn("alice was added", self.out)
        self.assertNotIn(SECRET, self.out + self.err)

    def test_added(self) -> None:
        """A further account comes last, also where the last line has no end."""
        self.file.write_text(f"bob:{hashed('b').decode()}")
        self.assertEqual(self.passwd("alice"), 0)
        self.assertTrue(self.is_right("bob", "b"))
        self.assertTrue(self.is_right("alice", SECRET))

    def test_other_lines_stay(self) -> None:
        """Comments, empty lines, blanks and line ends stay as they are, to the byte."""
        bob = f"  bob:{hashed('b').decode()} \r\n".encode()
        carol = f"carol:{hashed('c').decode()}".encode()
        before, after = b"# ours\n\n" + bob, b"\t\n#alice:x\n" + carol
        self.file.write_bytes(before + f"alice:{hashed('a').decode()}\r\n".encode() + after)
        self.assertEqual(self.passwd("alice"), 0)
        self.assertIn("alice was changed", self.out)
        content = self.file.read_bytes()
        self.assertTrue(content.startswith(before))
        self.assertTrue(content.endswith(b"\r\n" + after))
        self.assertTrue(self.is_right("alice", SECRET))
        self.assertEqual(self.passwd("alice", "--remove"), 0)
        self.assertEqual(self.file.read_bytes(), before + after)

    def test_too_large(self) -> None:
        """A file that is larger than what the daemon reads is neither changed nor made."""
        for size, why in ((MOST_BYTES, "it would be larger"), (MOST_BYTES + 1, "it is larger")):
            self.file.write_bytes(b"#" * (size - 1) + b"\n")
            self.assertEqual(self.passwd("alice"), 1)
            self.assertIn(why, self.err)
            self.assertEqual(self.file.stat().st_size, size)

    def test_mode_and_link(self) -> None:
        """Mode and a symbolic link stay; the file is another one, and nothing else is left."""
        real = self.file.with_name("real")
        real.write_text("")
        real.chmod(0o604)
        self.file.symlink_to("real")
        inode = real.stat().st_ino
        self.assertEqual(self.passwd("alice"), 0)
        self.assertTrue(self.file.is_symlink())
        self.assertEqual(stat.S_IMODE(real.stat().st_mode), 0o604)
        self.assertNotEqual(real.stat().st_ino, inode)
        self.assertEqual(set(os.listdir(self.file.parent)), {"htpasswd", "real"})

    def test_owner(self) -> None:
        """Owner and group stay, as far as the one who runs it may have it so."""
        self.file.write_text("")
        if os.geteuid() == 0:
            os.chown(self.file, 1234, 2345)
        before = self.file.stat()
        self.assertEqual(self.passwd("alice"), 0)
        after = self.file.stat()
        self.assertEqual((after.st_uid, after.st_gid), (before.st_uid, before.st_gid))

    def test_owner_that_cannot_stay(self) -> None:
        """Where the owner cannot be kept the file is not touched."""
        self.file.write_text("# ours\n")
        real = os.fstat

        def other(descriptor: int) -> os.stat_result:
            status = list(real(descriptor))
            status[4] = 4321 if os.get_blocking(descriptor) else status[4]
            return os.stat_result(status)

        with (
            mock.patch("regcache.ctl.passwd.os.fstat", other),
            mock.patch("regcache.ctl.passwd.os.fchown", side_effect=PermissionError(1, "no")),
        ):
            self.assertEqual(self.passwd("alice"), 1)
        self.assertIn("owner could not be kept", self.err)
        self.assertEqual(self.file.read_text(), "# ours\n")
        self.assertEqual(os.listdir(self.file.parent), ["htpasswd"])

    def test_wrong_hash_is_mended(self) -> None:
        """A line of the account that is no bcrypt, or stands twice, is replaced by a right one."""
        self.file.write_text("alice:$apr1$x$yyyyyyyyyyyyyyyyyyyyyy\nalice:x\n")
        self.assertEqual(self.passwd("alice"), 0)
        self.assertTrue(self.is_right("alice", SECRET))
        self.assertEqual(self.file.read_text().count("alice"), 1)

    def test_removed(self) -> None:
        """Who is removed is gone, without a password being asked for; nobody else is."""
        for name in ("alice", "bob"):
            self.passwd(name)
        self.assertEqual(self.passwd("alice", "--remove", stdin=b""), 0)
        self.assertIn("alice was removed", self.out)
        self.assertEqual(list(parse_htpasswd(self.file.read_text(), "")), ["bob"])


class RefusalTests(PasswdCase):
    """What is refused, and leaves the file as it is."""

    def test_passwords(self) -> None:
        """Empty, too long, of several lines: 1, and no file is made."""
        for stdin, why in (
            (b"", "empty"),
            (b"\n", "empty"),
            (b"x" * 73, "72 bytes"),
            (b"one\ntwo\n", "more than one line"),
            (b"a\0b\n", "control characters"),
        ):
            self.assertEqual(self.passwd("alice", stdin=stdin), 1, stdin)
            self.assertIn(why, self.err)
            self.assertEqual(self.err.count("\n"), 1)
        self.assertFalse(self.file.exists())

    def test_longest(self) -> None:
        """72 bytes are taken whole, and so is what is no ASCII."""
        self.assertEqual(self.passwd("alice", stdin="ü".encode() * 36 + b"\n"), 0)
        self.assertTrue(self.is_right("alice", "ü" * 36))

    def test_names(self) -> None:
        """A name that the file or the rules cannot hold is wrong usage."""
        for name in ("", "a:b", "a b", "#a", "anonymous", "*", "a\n", "\x07"):
            self.assertEqual(self.passwd(name), 2, name)
            self.assertIn("cannot be the name of an account", self.err)
        self.assertFalse(self.file.exists())

    def test_usage(self) -> None:
        """Missing and unknown arguments are wrong usage."""
        self.assertEqual(self.passwd(), 2)
        self.assertEqual(self.passwd("alice", "--unknown"), 2)

    def test_file_of_another_kind(self) -> None:
        """A file whose other lines the daemon would refuse is left alone, and its line is named."""
        self.file.write_text("bob:$apr1$x$yyyyyyyyyyyyyyyyyyyyyy\n")
        for more in ((), ("--remove",)):
            self.assertEqual(self.passwd("alice", *more), 1)
        self.assertEqual(self.passwd("alice"), 1)
        self.assertIn(f"{self.file}:1: the password of 'bob' is no bcrypt hash", self.err)
        self.assertNotIn("apr1", self.err)
        self.assertEqual(self.file.read_text().count("\n"), 1)
        self.assertEqual(os.listdir(self.file.parent), ["htpasswd"])

    def test_nobody_to_remove(self) -> None:
        """To remove who is not there fails."""
        self.assertEqual(self.passwd("alice", "--remove"), 1)
        self.assertIn("there is no account 'alice'", self.err)
        self.assertFalse(self.file.exists())

    def test_no_file(self) -> None:
        """Folders, FIFOs and what is not UTF-8 are one line, and nothing is waited for."""
        os.mkfifo(self.file)
        self.assertEqual(self.passwd("alice"), 1)
        self.file.unlink()
        self.file.write_bytes(b"\xff\n")
        self.assertEqual(self.passwd("alice"), 1)
        self.assertIn("not UTF-8", self.err)
        self.file.unlink()
        self.file.mkdir()
        self.assertEqual(self.passwd("alice"), 1)
        self.file = Path("/nowhere/htpasswd")
        self.assertEqual(self.passwd("alice"), 1)
        self.assertEqual(self.err, "/nowhere/htpasswd: No such file or directory\n")


class HelpTests(PasswdCase):
    """What it says of itself."""

    def test_help(self) -> None:
        """There is an example for each use."""
        self.assertEqual(self.passwd("--help"), 0)
        self.assertIn("regcachectl passwd /etc/regcache/htpasswd alice\n", self.out)
        self.assertIn("--remove", self.out)
