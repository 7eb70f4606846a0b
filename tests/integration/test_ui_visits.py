"""All pages of the web UI in a real browser: what looking costs, and a daemon that is away."""

from typing import Any

from tests.integration.ui_base import HUB, NGINX, OTHER, SITE, SIZES, UiCase, shelf
from tests.support.processes import wait_until

#: Every page, and a text that shows that it is there.
PAGES = {
    "#/": "Working.",
    "#/images": "library/nginx",
    f"#/images/{HUB}/{NGINX}": "1.29",
    f"#/images/{HUB}/{NGINX}:1.29": "Platforms",
    "#/transfers": "Nothing is being fetched",
    "#/requests": "library/nginx",
    "#/storage": "Rules in force",
    "#/upstreams": "answers",
    "#/accounts": "password",
    "#/accounts/alice": "No key was made yet",
    "#/clients": "daemon.json",
    "#/clients/containerd": "hosts.toml",
    "#/nowhere": "There is no such page",
}


class VisitTests(UiCase):
    """Somebody who looks at everything."""

    def configuration(self) -> dict[str, Any]:
        """With an account, and pulls for everybody."""
        path = self.workspace().path / "seats.yml"
        access = {"seats": str(path), "rules": [{"accounts": ["anonymous"]}]}
        return {**super().configuration(), "access": access}

    def test_looking_is_free(self) -> None:
        """All pages, light and dark, wide and narrow, ask no upstream, and suit everybody."""
        self.pull(NGINX, shelf().nginx, "1.29")
        self.pull(SITE, shelf().site, "2", upstream=OTHER)
        self.ctl("seat", "add", "alice", "--daily", "20GiB", "--until", "2131-01-31")
        asked = len(shelf().registry.requests())
        tab = self.open(admin=True)
        for place, text in PAGES.items():
            tab.go(place)
            tab.wait_text(text)
            for theme in ("light", "dark"):
                tab.colours(theme)
                for size in SIZES.values():
                    tab.resize(*size)
                    self.check_access(tab)
            self.check_narrow(tab)
        self.assertEqual(tab.problems, [])
        self.assertEqual(len(shelf().registry.requests()), asked)

    def test_away(self) -> None:
        """A daemon that stays away is said to be away, with what to type; then all goes on."""
        self.pull(NGINX, shelf().nginx, "1.29")
        tab = self.open()
        self.live(tab)
        self.daemon.stop()
        tab.wait_text("regcache does not answer")
        tab.wait_text("systemctl status regcache")
        self.check_access(tab)
        self.daemon.start()
        wait_until(lambda: "regcache does not answer" not in tab.text(), "it is back")
        tab.wait_text("Working.")
