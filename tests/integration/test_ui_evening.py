"""An owner's evening in the browser: sign in, look, delete, verify, and an upstream that is cut."""

from pathlib import Path
from typing import Any

from tests.access.accounts import hashed
from tests.integration.ui_base import HUB, NGINX, OTHER, SITE, UiCase
from tests.support.devtools import Tab
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import mixed_image, multi_image

PASSWORD = "a good password"
_SIGN_IN = "form.sign button[type=submit]"
#: Of answers that the test provokes: a wrong password, a page of what was deleted.
_EXPECTED = ("401", "404")


class UiEveningTests(UiCase):
    """One tab; what its pages show is what is on the disk, and what befell it."""

    def setUp(self) -> None:
        """With three images in the cache."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.nginx, self.site = multi_image("evening"), mixed_image("evening")
        self.old = mixed_image("evening, older")
        for repository, image, tag in (
            (NGINX, self.nginx, "1.29"),
            (SITE, self.site, "2"),
            (SITE, self.old, "1"),
        ):
            self.upstream.add_image(repository, image, tag)
        super().setUp()
        self.pull(NGINX, self.nginx, "1.29")
        self.pull(SITE, self.site, "2", upstream=OTHER)
        self.pull(SITE, self.old, "1", upstream=OTHER)
        self.shots = 0

    def configuration(self) -> dict[str, Any]:
        """With an account, and upstreams that can be cut."""
        line = f"owner:{hashed(PASSWORD).decode()}\n"
        access = {
            "htpasswd": str(self.workspace().file("htpasswd", line)),
            "admins": ["owner"],
            "rules": [{"accounts": ["anonymous"]}],
        }
        upstreams = {name: {"urls": [self.upstream.url], "tag_ttl": 0} for name in (HUB, OTHER)}
        return {**super().configuration(), "access": access, "upstreams": upstreams}

    def shot(self, tab: Tab, name: str) -> None:
        """A picture of what there is to be seen."""
        self.shots += 1
        tab.picture(f"evening-{self.shots:02}-{name}")

    def path(self, digest: str) -> Path:
        """Where content is stored."""
        name = digest.partition(":")[2]
        return self.daemon.directory / "blobs" / "sha256" / name[:2] / name

    def test_evening(self) -> None:
        """Each step tells what came of it, and nobody has to guess what to do next."""
        tab = self.open("#/login")
        for step in (self.sign_in, self.look, self.delete, self.verify, self.cut):
            step(tab)
        self.check(tab, expected=_EXPECTED)

    def sign_in(self, tab: Tab) -> None:
        """With a wrong password first."""
        tab.wait(f"document.querySelector('{_SIGN_IN}')")
        tab.fill("form.sign input[name=account]", "owner")
        for password in ("wrong", PASSWORD):
            tab.fill("form.sign input[name=password]", password)
            tab.click(_SIGN_IN)
            if password == "wrong":
                tab.wait_text("The account or the password is wrong")
                self.shot(tab, "wrong-password")
        tab.wait("document.querySelector('.side button.as-link')")
        self.live(tab)
        self.shot(tab, "overview")

    def look(self, tab: Tab) -> None:
        """The images, a repository, one of its images."""
        for place, text in (
            ("#/images", "2 repositories, 3 tags"),
            (f"#/images/{OTHER}/{SITE}", "Delete repository"),
            (f"#/images/{OTHER}/{SITE}:2", "Complete for linux/amd64"),
        ):
            tab.go(place)
            tab.wait_text(text)
            self.shot(tab, "images")

    def delete(self, tab: Tab) -> None:
        """An image goes, from the disk too; its page says who did that."""
        tab.click(".head button", "Delete…")
        tab.wait("document.querySelector('dialog .dangerp')")
        self.shot(tab, "delete")
        tab.click("dialog .dangerp")
        self.freed(tab)
        self.assertFalse(self.path(self.site.digest).exists())
        tab.click("dialog .do button")
        tab.go(f"#/images/{OTHER}/{SITE}:2")
        tab.wait_text("is not in the cache any more")
        tab.wait_text("by owner")
        self.shot(tab, "deleted")

    def verify(self, tab: Tab) -> None:
        """A layer rots; the overview leads to what it was, and its image can be completed."""
        layer = max(self.old.all_blobs().values(), key=lambda each: len(each.data))
        path = self.path(layer.digest)
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.seek(1000)
            file.write(b"rot!")
        tab.go("#/storage")
        tab.click(".head button", "Verify all")
        tab.wait_text("1 damaged")
        self.assertFalse(path.exists())
        self.shot(tab, "verified")
        tab.go("#/")
        tab.wait_text("A stored file was found damaged at")
        self.shot(tab, "overview-with-damage")
        tab.click(".note a", "What was damaged")
        tab.wait_text(layer.digest)
        tab.go(f"#/images/{OTHER}/{SITE}:1")
        tab.click(".head button", "Complete linux/amd64")
        tab.click("dialog button[type=submit]")
        tab.wait_text("Done")
        tab.wait_text("Complete for linux/amd64")
        self.assertEqual(path.read_bytes(), layer.data)
        self.shot(tab, "completed")
        self.close_dialog(tab)

    def cut(self, tab: Tab) -> None:
        """What is here is served; what is not says why, at the request and at the upstream."""
        self.upstream.close()
        client = self.daemon.client()
        self.assertEqual(client.get(f"/v2/{HUB}/{NGINX}/manifests/1.29").status, 200)
        self.assertEqual(client.get(f"/v2/{OTHER}/{SITE}/manifests/2").status, 502)
        tab.go("#/upstreams")
        tab.wait_text("failed last")
        tab.wait_text("onnection refused")
        self.shot(tab, "upstreams-cut")
        tab.go("#/requests?failed=1")
        tab.wait_text(f"{OTHER} does not answer and this is not in the cache")
        self.shot(tab, "requests-failed")
        tab.go(f"#/images/{OTHER}/{SITE}:2")
        tab.click("main button", "Pull it now")
        tab.click("dialog button[type=submit]")
        tab.wait_text("cannot be reached: connection refused")
        self.shot(tab, "pull-failed")
        self.check_access(tab)
        tab.click("dialog .do button", "Try again")
        tab.wait(f"document.querySelector('dialog input[name=image]').value === '{OTHER}/{SITE}:2'")
        self.close_dialog(tab)
