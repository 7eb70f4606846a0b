"""Tests for regcachectl ui."""

import json

from regcache.admin.api.session_calls import MAKE_LINK
from regcache.ctl.client import RefusedError
from regcache.ctl.ui_command import show_link
from tests.ctl.cases import CommandCase

URL = "http://127.0.0.1:5001/#/link/abc"


class LinkTests(CommandCase):
    """What is printed."""

    def show(self, urls: list[str], *arguments: str) -> tuple[int, str, str]:
        """Run it."""
        made = {"link": "abc", "expires": "2026-11-26T08:05:00Z", "urls": urls}
        self.daemon.answer(MAKE_LINK, made)
        return self.run_work(show_link, "ui", *arguments)

    def test_link(self) -> None:
        """The link under each address, alone on its line."""
        self.assertEqual(self.show([URL]), (0, f"{URL}\n", ""))
        self.assertEqual(self.daemon.asked, [("POST", "session/link", {})])

    def test_json(self) -> None:
        """--json prints the answer."""
        self.assertEqual(json.loads(self.show([URL], "--json")[1])["link"], "abc")

    def test_no_address(self) -> None:
        """Where there is no page to open that is said, with what to set."""
        code, out, errors = self.show([])
        self.assertEqual((code, out), (1, ""))
        self.assertIn("admin.endpoint", errors)

    def test_refused(self) -> None:
        """Over a URL the daemon refuses it."""
        self.daemon.answer(MAKE_LINK, RefusedError({"detail": "the unix socket only"}))
        status = self.run_work(show_link, "ui", "--url", "http://x", "--link", "http://x/#/link/t")
        self.assertEqual(status, (1, "", "the unix socket only\n"))
        self.assertEqual(self.daemon.links, ["http://x/#/link/t"])
