"""What is said of files that may not be read."""

import grp
import os
from errno import EACCES, ENOENT
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.unreadable import why_unreadable


class UnreadableTests(SynchronousTestCase):
    """Tests for :func:`why_unreadable`."""

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "a key")
        self.group = grp.getgrgid(os.getegid()).gr_name

    def test_missing(self) -> None:
        """What is not there is only not there."""
        why = why_unreadable(self.path, FileNotFoundError(ENOENT, "No such file or directory"))
        self.assertEqual(why, "No such file or directory")

    def test_rights(self) -> None:
        """What another keeps to itself is told with what gives our group the right to read it."""
        why = why_unreadable(self.path, PermissionError(EACCES, "Permission denied"))
        quoted = f"'{self.path}'"
        wanted = f"chgrp {self.group} {quoted} && chmod g+r {quoted}"
        self.assertEqual(why, f"Permission denied; type: {wanted}")

    def test_folder(self) -> None:
        """So is a folder that may not be entered."""
        with patch("os.access", return_value=False):
            why = why_unreadable(self.path, PermissionError(EACCES, "Permission denied"))
        wanted = f"chgrp {self.group} {self.folder} && chmod g+rx {self.folder}"
        self.assertEqual(why, f"Permission denied; type: {wanted}")
