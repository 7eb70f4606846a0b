"""What the tests of the web UI share: a daemon with images in it, and a browser that looks.

A test of a page opens it (:meth:`UiCase.open`), waits for texts, and ends with :meth:`check`.
Pictures go to build/ui.
"""

import contextlib
import json
from typing import Any

from tests.integration.base import PullThroughCase, shared
from tests.support import images
from tests.support.ctl import run_ctl
from tests.support.devtools import Browser, Tab
from tests.support.processes import CHECKOUT, unavailable, wait_until
from tests.support.servers import DockerRegistry, Regcache

TOOLS = CHECKOUT / "tools" / "ui" / "node_modules"
HUB, OTHER, DOWN = "docker.io", "ghcr.io", "quay.io"
NGINX, SITE = "library/nginx", "team/site"
#: Every size at which pages are looked at, by name.
SIZES = {"wide": (1280, 800), "phone": (390, 844)}
#: The link was used, and has left the address.
_HAS_SIGNED_IN = "location.hash === '#/' && document.querySelector('.side button.as-link')"
#: Ends the session, as another window would.
END_SESSION = """fetch('/api/v1/session', {method: 'DELETE', body: '{}',
 headers: {'X-Regcache': '1', 'Content-Type': 'application/json'}}).then(answer => answer.status)"""
_WIDTH = "document.documentElement.scrollWidth"
#: What is below a dialog cannot be used, and is looked at without it.
_AXE = """axe.run(document.querySelector('dialog:last-of-type') ?? document,
 {resultTypes: ['violations']}).then(found => found.violations)"""
_STICKS_OUT = """[...document.querySelectorAll('dialog, dialog *')]
 .filter(each => !each.closest('pre'))
 .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
 .map(each => each.outerHTML.slice(0, 150))"""


class Shelf:
    """What the upstreams of these tests hold."""

    def __init__(self) -> None:
        self.registry = DockerRegistry()
        self.nginx = images.multi_image("nginx")
        self.site = images.mixed_image("site")
        client = self.registry.client()
        client.push(NGINX, self.nginx, "1.29", "latest")
        client.push(SITE, self.site, "2")
        self.close = self.registry.close


shelf = shared(Shelf)
browser = shared(Browser)


class UiCase(PullThroughCase):
    """A daemon with three upstreams, one of them down, and tabs that look at its pages."""

    def setUp(self) -> None:
        self.socket = self.workspace().path / "admin.sock"
        self.daemon = self.start_daemon()
        self.url = f"http://127.0.0.1:{self.daemon.admin_port}/"

    def start_daemon(self) -> Regcache:
        """With an empty cache."""
        daemon = Regcache(self.configuration())
        self.addCleanup(daemon.close)
        daemon.config["admin"] |= {"socket": str(self.socket)}
        return daemon.start()

    def configuration(self) -> dict[str, Any]:
        """What its file holds."""
        held = shelf().registry.url
        return {
            "upstreams": {
                HUB: {"urls": [held]},
                OTHER: {"urls": [held]},
                DOWN: {"urls": ["http://127.0.0.1:1"]},
            },
            "default_upstream": HUB,
            "ui": {"title": "Our registry"},
        }

    def pull(self, name: str, image: images.Image, reference: str, *, upstream: str = HUB) -> None:
        """Have an image in the cache, with all platforms."""
        client = self.daemon.client()
        path = f"/v2/{upstream}/{name}"
        manifests = [reference, *(each.digest for each in image.children)]
        for tail in (
            *(f"manifests/{each}" for each in manifests),
            *(f"blobs/{each}" for each in image.all_blobs()),
        ):
            self.assertEqual(client.get(f"{path}/{tail}").status, 200, tail)

    def ctl(self, *words: str) -> str:
        """What a command of regcachectl prints."""
        done = run_ctl(*words, "--socket", str(self.socket))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def link(self) -> str:
        """A link that signs in as an administrator."""
        return self.ctl("ui").split()[0]

    def open(
        self, place: str = "#/", *, admin: bool = False, script: str = "", **options: Any
    ) -> Tab:
        """A tab at one page.

        :param admin: sign in first.
        :param script: runs before those of the page.
        :param options: width, height, language, theme of the tab.
        """
        tab = browser().tab(**options)
        self.addCleanup(tab.close)
        if script:
            tab.ask("Page.addScriptToEvaluateOnNewDocument", source=script)
        if admin:
            tab.open(self.link())
            tab.wait(_HAS_SIGNED_IN)
            tab.go(place)
        else:
            tab.open(self.url + place)
        tab.wait("document.querySelector('h1')")
        return tab

    def live(self, tab: Tab) -> None:
        """Wait until the page is told what happens."""
        tab.wait("document.querySelector('.live:not(.off)')")

    def end_session(self, tab: Tab) -> None:
        """End it behind the page's back; the page is told, and asks to sign in again."""
        self.live(tab)
        self.assertEqual(tab.run(END_SESSION), 204)
        tab.wait("document.querySelector('dialog form.sign')")

    def freed(self, tab: Tab) -> None:
        """Wait until a plan has been run; before that it says what would be freed."""
        tab.wait("document.querySelector('dialog h2')?.textContent.endsWith(' freed')")

    def close_dialog(self, tab: Tab) -> None:
        """It goes by Esc."""
        tab.press("Escape")
        tab.wait("!document.querySelector('dialog')")

    def check(self, tab: Tab, *, expected: tuple[str, ...] = ()) -> None:
        """Nothing went wrong, the page can be used by everybody, and fits into 360 px.

        :param expected: texts of problems that the test makes on purpose.
        """
        self.check_access(tab)
        self.check_narrow(tab)
        found = [one for one in tab.problems if not any(each in one for each in expected)]
        self.assertEqual(found, [])

    def check_access(self, tab: Tab) -> None:
        """What axe-core finds wrong."""
        script = TOOLS / "axe-core" / "axe.min.js"
        if not script.exists():
            unavailable("axe-core is missing: make lint installs it")
        tab.run("typeof axe === 'undefined' ? undefined : 1") or tab.run(
            script.read_text(encoding="utf-8") + "\n;1"
        )
        found = tab.run(_AXE)
        told = [
            f"{each['id']}: {each['help']}: {node['html'][:200]} {node.get('failureSummary')}"
            for each in found
            for node in each["nodes"]
        ]
        self.assertEqual(told, [], "\n".join(told))

    def check_looks(self, tab: Tab) -> None:
        """What axe-core finds, light and dark, wide and narrow; and that dialogs fit."""
        for size in SIZES.values():
            tab.resize(*size)
            for theme in ("light", "dark"):
                tab.colours(theme)
                self.check_access(tab)
            self.assertEqual(tab.run(_STICKS_OUT), [])
        tab.resize(*SIZES["wide"])
        tab.colours("light")

    def check_narrow(self, tab: Tab) -> None:
        """Nothing sticks out of a window of 360 px."""
        tab.resize(360, 740)
        with contextlib.suppress(AssertionError):  # charts follow in the next frames
            wait_until(lambda: tab.run(_WIDTH) <= 360, "it fits")
        width = tab.run(_WIDTH)
        wide = tab.run(
            "[...document.querySelectorAll('main *')]"
            ".filter(each => !each.closest('.tw, pre, .seg'))"
            ".filter(each => each.getBoundingClientRect().right > 361)"
            ".map(each => each.outerHTML.slice(0, 150))"
        )
        self.assertLessEqual(width, 360, json.dumps(wide, indent=1))
        tab.resize(*SIZES["wide"])

    def pictures(self, tab: Tab, name: str) -> None:
        """Pictures in both colours and all sizes."""
        for theme in ("light", "dark"):
            tab.colours(theme)
            for size, (width, height) in SIZES.items():
                tab.resize(width, height)
                tab.picture(f"{name}-{theme}-{size}")
        tab.colours("light")
        tab.resize(*SIZES["wide"])
