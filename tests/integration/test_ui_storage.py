"""The page of storage in a real browser."""

from pathlib import Path

from tests.integration.ui_base import HUB, NGINX, OTHER, SITE, UiCase, shelf

_PART = "The image stays; only some of its layers go"


class StorageTests(UiCase):
    """What can go, what is pinned?"""

    def files(self) -> list[Path]:
        """What is stored."""
        folder = Path(self.daemon.directory, "blobs", "sha256")
        return [each for each in folder.rglob("*") if each.is_file()]

    def setUp(self) -> None:
        """With two images of two upstreams in the cache."""
        super().setUp()
        self.pull(NGINX, shelf().nginx, "1.29")
        self.pull(SITE, shelf().site, "2", upstream=OTHER)

    def test_purge(self) -> None:
        """What a sweep would remove is shown; a purge removes what its plan has shown."""
        tab = self.open("#/storage", admin=True)
        tab.wait_text("A sweep would remove nothing now")
        tab.wait_text("Rules in force")
        tab.wait_text("Nothing is pinned by hand")
        self.check(tab)
        tab.click(f"button[title='Remove all that {OTHER} has here…']")
        tab.wait_text(f"Remove all of {OTHER} from the cache?")
        self.pictures(tab, "storage-purge")
        self.check_access(tab)
        tab.click("dialog .do button.dangerp")
        self.freed(tab)
        tab.click("dialog .do button")
        client = self.daemon.client()
        found = client.get(f"/v2/{OTHER}/{SITE}/tags/list")
        self.assertEqual(found.status, 200)
        self.pictures(tab, "storage")

    def test_down_to(self) -> None:
        """A sweep to a size shows which images stay without some of their layers, and does it."""
        self.daemon.stop()
        self.daemon.config["storage"] |= {"max_size": "6MiB", "max_blob": "2MiB"}
        self.daemon.start()
        tab = self.open("#/storage", admin=True)
        tab.wait("document.querySelector('optgroup')")
        tab.choose("header select", "down to 4.50 MiB")
        tab.wait_text(_PART)
        self.pictures(tab, "storage-part")
        self.check(tab)
        before = sum(each.stat().st_size for each in self.files())
        tab.click("button", "Remove these now…")
        tab.wait_text("Remove what is used least? Frees")
        tab.wait_text("image stays and loses layers")
        self.assertIn(_PART, tab.run("document.querySelector('dialog').innerText"))
        self.pictures(tab, "storage-part-dialog")
        self.check_looks(tab)
        tab.click("dialog .do button.dangerp")
        self.freed(tab)
        left = sum(each.stat().st_size for each in self.files())
        self.assertLess(left, before)
        self.assertLessEqual(left, 4.5 * 2**20)
        self.close_dialog(tab)
        self.check(tab)
        for reference in (f"{HUB}/{NGINX}/manifests/1.29", f"{OTHER}/{SITE}/manifests/2"):
            found = self.daemon.client().get(f"/v2/{reference}")
            self.assertEqual((found.status, found.headers["cache-status"]), (200, "regcache; hit"))

    def test_pins(self) -> None:
        """What is pinned is listed, and can be unpinned by the keyboard alone."""
        self.ctl("pin", f"{HUB}/{NGINX}:1.29")
        tab = self.open("#/storage", admin=True)
        tab.focus(
            "[...document.querySelectorAll('.act button')]"
            ".find(each => each.textContent.includes('Unpin'))"
        )
        tab.press("Enter")
        tab.wait_text("Nothing is pinned by hand")
        self.check(tab)

    def test_failure(self) -> None:
        """What cannot be done says why; once it can be done it is done."""
        self.ctl("pin", f"{HUB}/{NGINX}:1.29")
        tab = self.open("#/storage", admin=True)
        tab.wait("document.querySelector('.act button')")
        tab.run("window.whole = fetch, void (window.fetch = async (url, options) => {"
                " if (String(url).endsWith('unpin')) throw new TypeError('broken');"
                " return whole(url, options); })")  # fmt: skip
        tab.click(".act button", "Unpin")
        tab.wait_text("This did not work")
        tab.wait("document.activeElement.closest('dialog')")
        self.check_access(tab)
        self.close_dialog(tab)
        tab.run("void (window.fetch = whole)")
        tab.click(".act button", "Unpin")
        tab.wait_text("Nothing is pinned by hand")
        self.check(tab)

    def test_verify(self) -> None:
        """All that is stored is verified, with its progress; the page says what came of it."""
        tab = self.open("#/storage", admin=True)
        tab.wait_text("Last verification")
        tab.click(".head button", "Verify all")
        tab.wait_text("none damaged")
        self.check(tab)

    def test_reader(self) -> None:
        """Who may only read sees the disk, and how to get rights for the rest."""
        tab = self.open("#/storage")
        tab.wait_text("Only an admin sees what a sweep would remove")
        tab.wait_text("By upstream")
        self.check(tab)
