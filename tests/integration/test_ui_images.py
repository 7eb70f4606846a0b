"""The web UI in a real browser: images, repositories, one image; pins, pulls and deletions."""

import json
import shutil
from typing import Any

from benchmarks.index_maker import make_index
from tests.integration.ui_base import HUB, NGINX, OTHER, SITE, UiCase, shelf
from tests.support import images
from tests.support.devtools import Tab
from tests.support.processes import wait_until
from tests.support.registry_client import RegistryClient
from tests.support.servers import Regcache


class ImagesCase(UiCase):
    """A daemon with two repositories, one of them here in part."""

    def setUp(self) -> None:
        super().setUp()
        nginx, site = shelf().nginx, shelf().site
        client = self.daemon.client()
        child = nginx.children[0]
        for tail in (
            "manifests/1.29",
            f"manifests/{child.digest}",
            *(f"blobs/{each}" for each in child.all_blobs()),
            f"manifests/{nginx.children[1].digest}",
        ):
            self.assertEqual(client.get(f"/v2/{HUB}/{NGINX}/{tail}").status, 200)
        self.pull(SITE, site, "2", upstream=OTHER)
        wait_until(lambda: self.told("repositories")["total"] == 2, "both are listed")

    def told(self, call: str) -> Any:
        """What the API answers."""
        client = RegistryClient(self.url.rstrip("/"))
        return json.loads(client.get(f"/api/v1/{call}").body)

    def rows(self, tab: Tab) -> list[str]:
        """The first cells of the rows of the table."""
        found = tab.run(
            "[...document.querySelectorAll('tbody tr.r td.name')].map(e => e.innerText)"
        )
        return [str(each).split("\n")[0].strip() for each in found]


class ListTests(ImagesCase):
    """All repositories."""

    def test_list(self) -> None:
        """What is here is listed, with its platforms; filters are kept in the address."""
        tab = self.open("#/images", admin=True)
        tab.wait("document.querySelectorAll('tbody tr.r').length === 2")
        self.assertEqual(set(self.rows(tab)), {f"{HUB}/{NGINX}", f"{OTHER}/{SITE}"})
        self.pictures(tab, "images")
        tab.click("th button", "Repository")
        tab.wait("document.querySelector('th[aria-sort=ascending]')")
        tab.fill(".filters input", "site")
        tab.wait("location.hash.includes('q=site')")
        tab.wait("document.querySelectorAll('tbody tr.r').length === 1")
        tab.fill(".filters input", "nothing-like-it")
        tab.wait_text("“nothing-like-it” is not in the cache")
        tab.click("button", "Clear the filter")
        tab.wait("document.querySelectorAll('tbody tr.r').length === 2")
        self.check(tab)

    def test_deletion(self) -> None:
        """By the keyboard alone: select a range, read the plan, delete; the rest stays."""
        tab = self.open("#/images?sort=name", admin=True)
        tab.wait("document.querySelectorAll('tbody input').length === 2")
        tab.focus("document.querySelectorAll('tbody input')[0]")
        tab.press(" ")
        tab.wait_text("1 selected")
        tab.focus("document.querySelectorAll('tbody input')[1]")
        tab.press(" ", shift=True)
        tab.wait_text("2 selected")
        tab.focus("document.querySelectorAll('tbody input')[0]")
        tab.press(" ")
        tab.wait_text("1 selected")
        tab.focus("document.querySelector('.selbar .danger')")
        tab.press("Enter")
        tab.wait_text(f"Delete {OTHER}/{SITE} from the cache?")
        tab.wait("document.activeElement.textContent.includes('Keep')")
        tab.wait_text("The upstream keeps everything.")
        self.check_access(tab)
        tab.picture("delete-dialog-light")
        self.close_dialog(tab)
        tab.wait("document.activeElement.closest('.selbar')")
        tab.press("Enter")
        tab.wait("document.querySelector('dialog .dangerp:not(:disabled)')")
        tab.press("Tab")
        tab.wait("document.activeElement.classList.contains('dangerp')")
        tab.press("Enter")
        self.freed(tab)
        self.close_dialog(tab)
        tab.wait("document.querySelectorAll('tbody tr.r').length === 1")
        self.assertEqual([each["name"] for each in self.told("repositories")["items"]],
                         [f"{HUB}/{NGINX}"])  # fmt: skip
        self.check(tab)

    def test_reader(self) -> None:
        """Who may only look sees what could be done, and how to get the rights."""
        asked = len(shelf().registry.requests())
        tab = self.open("#/images")
        tab.wait_text(f"{HUB}/{NGINX}")
        tab.click("button[aria-disabled=true]", "Pull an image")
        self.assertFalse(tab.run("Boolean(document.querySelector('dialog'))"))
        for place in (f"#/images/{HUB}/{NGINX}", f"#/images/{HUB}/{NGINX}:1.29", "#/"):
            tab.go(place)
            tab.wait("document.querySelector('main h1')")
        self.check(tab)
        self.assertEqual(len(shelf().registry.requests()), asked)


class ImageTests(ImagesCase):
    """One repository, and one image."""

    def test_repository(self) -> None:
        """A row for each digest leads to the image."""
        tab = self.open(f"#/images/{HUB}/{NGINX}", admin=True)
        tab.wait_text("Tags in the cache")
        tab.wait("document.querySelector('td.name a')")
        self.pictures(tab, "repository")
        self.check(tab)
        tab.click("td.name a", "1.29")
        tab.wait_text("Complete for linux/amd64. linux/arm64 is partly here")

    def test_image(self) -> None:
        """Platforms, facts, layers; it is pinned, kept from deletion, and unpinned."""
        tab = self.open(f"#/images/{HUB}/{NGINX}:1.29", admin=True)
        tab.wait_text("Complete for linux/amd64. linux/arm64 is partly here")
        tab.wait_text(f"docker pull {HUB}/{NGINX}:1.29")
        tab.wait_text("layer 0")
        self.pictures(tab, "image")
        tab.click("button", "Pin")
        tab.wait_text("Unpin")
        tab.click("button", "Delete…")
        tab.wait_text("All of it is pinned")
        self.close_dialog(tab)
        tab.click("button", "Unpin")
        tab.wait("!document.body.innerText.includes('Unpin')")
        self.check(tab, expected=("409",))

    def test_completion(self) -> None:
        """What is partly here is completed, with progress, and the page tells it."""
        tab = self.open(f"#/images/{HUB}/{NGINX}:1.29", admin=True)
        tab.click("button", "Complete linux/arm64")
        tab.wait("document.querySelector('dialog form')")
        self.check_access(tab)
        tab.picture("pull-dialog-light")
        tab.click("dialog button[type=submit]")
        tab.wait_text("Done")
        tab.press("Escape")
        tab.wait_text("Complete for linux/amd64, linux/arm64.")
        self.check(tab)

    def test_gone(self) -> None:
        """What is not here says so, in the words of what was asked for, hostile ones too."""
        tab = self.open(f"#/images/{HUB}/no/such:1%E2%80%AE%00", admin=True)
        tab.wait_text("is not in the cache")
        self.assertIn("\\u202e\\u0000", tab.text())
        self.check(tab, expected=("400", "404"))

    def test_deleted(self) -> None:
        """What was deleted or swept says when; it can be pulled from there."""
        self.ctl("rm", f"{HUB}/{NGINX}:1.29", "--yes")
        self.ctl("purge", "--yes")
        tab = self.open(f"#/images/{HUB}/{NGINX}:1.29", admin=True)
        tab.wait_text("is not in the cache any more")
        tab.wait_text("Deleted at")
        self.pictures(tab, "gone")
        self.check(tab, expected=("404",))
        tab.go(f"#/images/{HUB}/{NGINX}")
        tab.wait_text("Deleted at")
        tab.go(f"#/images/{OTHER}/{SITE}:2")
        tab.wait_text("Swept at")
        self.pictures(tab, "swept")
        self.check(tab, expected=("404",))
        tab.click(".note button", "Pull it now")
        tab.click("dialog button[type=submit]")
        tab.wait_text("Done")
        tab.press("Escape")
        tab.wait("!document.body.innerText.includes('Swept at')")


class OthersTests(ImagesCase):
    """Somebody else deletes meanwhile."""

    def test_deleted(self) -> None:
        """A plan of what another has deleted removes nothing; what came of it stays to be read."""
        tab = self.open(f"#/images/{OTHER}/{SITE}", admin=True)
        tab.click("button", "Delete repository…")
        tab.wait_text("image, 1 tag")
        self.ctl("rm", f"{OTHER}/{SITE}", "--yes")
        tab.click("dialog .dangerp")
        tab.wait_text("0\u00a0B freed")
        self.close_dialog(tab)
        tab.wait("location.hash === '#/images'")
        tab.wait("document.querySelectorAll('tbody tr.r').length === 1")
        tab.run("history.back()")
        tab.wait_text("is not in the cache any more")
        self.check(tab, expected=("404",))


class ChangedPlanTests(ImagesCase):
    """A plan that would remove more than was shown."""

    def test_changed(self) -> None:
        """It is shown again, says why, and only then is it run."""
        more = images.mixed_image("site-3")
        shelf().registry.client().push(SITE, more, "3")
        tab = self.open(f"#/images/{OTHER}/{SITE}", admin=True)
        tab.click("button", "Delete repository…")
        tab.wait_text("image, 1 tag")
        self.pull(SITE, more, "3", upstream=OTHER)
        tab.click("dialog .dangerp")
        tab.wait_text("Meanwhile more would go than was shown before.")
        self.assertEqual(self.told("repositories")["total"], 2)
        tab.click("dialog .dangerp")
        self.freed(tab)
        self.close_dialog(tab)
        wait_until(lambda: self.told("repositories")["total"] == 1, "it is gone")
        self.check(tab, expected=("409", "404"))


class CountingTests(UiCase):
    """A large index of an older version, of which nothing is added up yet."""

    #: Repositories of the index.
    COUNT = 1500

    def start_daemon(self) -> Regcache:
        """With that index, whose images have no files; nobody looks for those."""
        daemon = super().start_daemon()
        daemon.stop()
        for each in daemon.directory.glob("index.sqlite*"):
            each.unlink()
        made = make_index(self.workspace().path / "index.sqlite", self.COUNT)
        shutil.move(made, daemon.directory / "index.sqlite")
        daemon.config["storage"]["scrub"] = None
        daemon.config["upstreams"]["upstream.test"] = {"urls": ["http://127.0.0.1:1"]}
        return daemon.start()

    def test_progress(self) -> None:
        """The page says how far it is and shows what there is, until all are counted."""
        tab = self.open("#/images?q=no-such-image")
        tab.wait_text("not everything is counted yet")
        self.assertNotIn("is not in the cache", tab.text())
        tab.go("#/images")
        tab.wait_text(f"of {self.COUNT:,} repositories")
        tab.wait("document.querySelectorAll('tbody tr.r').length")
        tab.picture("images-counting")
        tab.wait("!document.querySelector('.counting')")
        tab.wait_text(f"50 of {self.COUNT:,}")
        self.check(tab)
