"""Every dialog and opened panel of the web UI suits everybody, light and dark, wide and narrow."""

from typing import Any

from tests.integration.ui_base import DOWN, HUB, NGINX, OTHER, SITE, UiCase, shelf
from tests.support.devtools import Tab

_SUBMIT = "dialog button[type=submit]"
_REPOSITORY = f"#/images/{HUB}/{NGINX}"
#: Has an upstream tested.
_TEST = """name => [...document.querySelectorAll('section.panel')]
 .filter(each => each.querySelector('h2').innerText === name)
 .map(each => each.querySelector('header button').click()).length"""
#: Of answers that the test provokes.
_EXPECTED = ("400", "401", "403", "409")


class DialogTests(UiCase):
    """One daemon and one tab; what opens over or in a page is looked at in turn."""

    def configuration(self) -> dict[str, Any]:
        """With accounts."""
        path = self.workspace().path / "seats.yml"
        access = {"seats": str(path), "rules": [{"accounts": ["anonymous", "*"]}]}
        return {**super().configuration(), "access": access}

    def test_all(self) -> None:
        """None of them has a finding of axe-core, and all fit."""
        self._fill()
        for place, look in (
            (_REPOSITORY, self._images),
            ("#/storage", self._storage),
            ("#/accounts", self._accounts),
            ("#/requests?failed=1", self._panels),
        ):
            tab = self.open(place, admin=True)
            look(tab)
            self.check(tab, expected=_EXPECTED)
            tab.close()

    def _fill(self) -> None:
        """Two images, one of them pinned; an account; a request that failed."""
        self.pull(NGINX, shelf().nginx, "1.29")
        self.pull(SITE, shelf().site, "2", upstream=OTHER)
        self.ctl("pin", f"{OTHER}/{SITE}:2")
        self.ctl("seat", "add", "alice", "--daily", "20GiB")
        client = self.daemon.client()
        self.assertEqual(client.get(f"/v2/{DOWN}/a/b/manifests/1").status, 502)

    def _dialog(self, tab: Tab, text: str) -> None:
        """Wait for a text of the dialog, and look at it."""
        tab.wait_text(text)
        tab.wait("document.querySelector('dialog:not(:has(.waiting))')")
        self.check_looks(tab)

    def _images(self, tab: Tab) -> None:
        """Plans of removals, pulls, what is selected, and what went wrong."""
        tab.click(".head button", "Delete repository…")
        self._dialog(tab, "image, 1 tag")
        self.close_dialog(tab)
        tab.go(f"#/images/{OTHER}/{SITE}:2")
        tab.click(".head button", "Delete…")
        self._dialog(tab, "All of it is pinned")
        self.close_dialog(tab)
        tab.go("#/images?sort=name")
        tab.wait("document.querySelectorAll('tbody input').length === 2")
        tab.click("tbody input")
        tab.wait_text("1 selected")
        self.check_looks(tab)
        tab.click(".head button", "Pull an image")
        tab.fill("dialog input[name=image]", "no name")
        tab.click(_SUBMIT)
        self._dialog(tab, "linux/arm64")
        tab.fill("dialog input[name=image]", f"{HUB}/{NGINX}:latest")
        tab.click(_SUBMIT)
        self._dialog(tab, "Done")
        self.close_dialog(tab)

    def _storage(self, tab: Tab) -> None:
        """A purge before and after it, a verification, a pin; in Chinese as well."""
        tab.click(".head button", "Verify all")
        tab.wait_text("none damaged")
        self.check_looks(tab)
        tab.click(f"button[title='Remove all that {HUB} has here…']")
        self._dialog(tab, f"Remove all of {HUB} from the cache?")
        tab.click("dialog .dangerp")
        self.freed(tab)
        self.check_looks(tab)
        self.close_dialog(tab)
        tab.in_chinese()
        tab.click(f"button[title*='{OTHER}']")
        self._dialog(tab, "固定")
        self.close_dialog(tab)

    def _accounts(self, tab: Tab) -> None:
        """What makes, changes and ends an account, and what is shown once."""
        tab.click(".head button", "New account")
        tab.fill("dialog input[name=name]", "bob")
        tab.fill("dialog input[name=daily]", "much")
        tab.click(_SUBMIT)
        tab.wait("document.querySelector('dialog .failed')")
        self.check_looks(tab)
        tab.fill("dialog input[name=daily]", "20GiB")
        tab.click(_SUBMIT)
        self._dialog(tab, "This is shown once")
        tab.click("dialog .do button", "Done")
        tab.go("#/accounts/alice")
        tab.click(".head button", "New key")
        self._dialog(tab, "used in place of the password")
        tab.click(_SUBMIT)
        self._dialog(tab, "This is shown once")
        tab.click("dialog .do button", "Done")
        tab.click(".head button", "Change")
        self._dialog(tab, "Change alice")
        self.close_dialog(tab)
        tab.click(".head button", "End…")
        self._dialog(tab, "End alice?")
        tab.click(_SUBMIT)
        tab.wait("!document.querySelector('dialog, .head .danger')")
        tab.click(".head button", "Change")
        tab.click("dialog input[name=reopen]")
        self.check_looks(tab)
        self.close_dialog(tab)

    def _panels(self, tab: Tab) -> None:
        """A request opened, traffic as a table, an upstream tested, the menu, a session ended."""
        tab.click("td.name a")
        tab.wait("document.querySelector('.dossier .facts')")
        self.check_looks(tab)
        tab.go("#/")
        tab.click("button[title='Show as table']")
        tab.wait("document.querySelector('table[aria-label=Traffic]')")
        self.check_looks(tab)
        tab.go("#/upstreams")
        tab.wait(f"({_TEST})('{HUB}')")
        tab.wait(f"({_TEST})('{DOWN}')")
        tab.wait("document.querySelectorAll('.tested').length === 2")
        tab.wait("!document.querySelector('.panel .ic[href$=clock]')")
        self.check_looks(tab)
        tab.resize(390, 844)
        tab.click(".top .menu")
        tab.wait("document.querySelector('.menu[aria-expanded=true]')")
        for theme in ("dark", "light"):
            tab.colours(theme)
            self.check_access(tab)
        tab.resize(1280, 800)
        self.end_session(tab)
        self._dialog(tab, "Your session has ended")
