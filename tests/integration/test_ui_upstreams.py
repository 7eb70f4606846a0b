"""The pages of upstreams and of the set-up of clients in a real browser."""

import json

from tests.integration.ui_base import DOWN, HUB, NGINX, UiCase, shelf


class UpstreamsTests(UiCase):
    """Who is ill, what limit is left?"""

    def test_states(self) -> None:
        """What works, what does not and why, and what was never asked; looking asks nobody."""
        self.pull(NGINX, shelf().nginx, "1.29")
        client = self.daemon.client()
        for path in ("a/b", "c/d", "e/f"):
            self.assertEqual(client.get(f"/v2/{DOWN}/{path}/manifests/1").status // 100, 5)
        asked = len(shelf().registry.requests())
        tab = self.open("#/upstreams")
        tab.wait_text("answers")
        tab.wait_text("no answer")
        tab.wait_text("not asked yet")
        tab.wait_text("1 repository")
        tab.wait_text("asked again at")
        self.assertEqual(len(shelf().registry.requests()), asked)
        self.pictures(tab, "upstreams")
        self.check(tab)

    def test_reload(self) -> None:
        """One that the configuration has now is shown, and one that it has not is not."""
        for place in ("#/upstreams", "#/"):
            tab = self.open(place)
            tab.wait_text(HUB)
            self.live(tab)
            self.reload(added="added.test")
            tab.wait_text("added.test")
            self.reload()
            tab.wait("!document.querySelector('main').innerText.includes('added.test')")
            self.check(tab)

    def reload(self, added: str = "") -> None:
        """Have the daemon read its file, which has a further upstream."""
        config = {**self.daemon.config, "upstreams": dict(self.daemon.config["upstreams"])}
        if added:
            config["upstreams"][added] = {"urls": ["http://127.0.0.1:1"]}
        new = self.daemon.file.with_suffix(".new")
        new.write_text(json.dumps(config))
        new.rename(self.daemon.file)

    def test_test(self) -> None:
        """A test asks once, and tells its steps; the one that fails says why."""
        tab = self.open("#/upstreams", admin=True)
        tab.wait_text(HUB)
        tab.click("section.panel button", "Test")
        tab.wait("document.querySelector('.tested')")
        tab.wait_text("it answers")
        tab.wait(
            "[...document.querySelectorAll('section.panel')]"
            f".find(each => each.querySelector('h2').innerText === '{DOWN}')"
            ".querySelector('button').click() === undefined"
        )
        tab.wait_text("it failed")
        self.check(tab)

    def test_reader(self) -> None:
        """Who may only read sees the button, locked, with how to get rights."""
        tab = self.open("#/upstreams")
        tab.wait("document.querySelector('section.panel button[aria-disabled=true]')")
        tab.click("section.panel button", "Test")
        self.assertNotIn("Asking", tab.text())
        self.check(tab)


class ClientsTests(UiCase):
    """How do I use it, and does it work?"""

    def test_guide(self) -> None:
        """Steps with files and commands for this host, and who was heard of since."""
        tab = self.open("#/clients")
        tab.wait_text("daemon.json")
        tab.wait_text("regcachectl client-config docker")
        tab.wait_text("Waiting for the first request")
        self.live(tab)
        agent = {"User-Agent": "docker/28.3.1 go/go1.24"}
        self.daemon.client().get(f"/v2/{HUB}/{NGINX}/manifests/1.29", **agent)
        tab.wait_text("Heard from")
        self.pictures(tab, "clients")
        self.check(tab)
        tab.click("nav.seg a", "containerd")
        tab.wait_text("hosts.toml")
        tab.wait_text("docker/28.3.1")
        self.check(tab)

    def test_chinese(self) -> None:
        """The guide is in Chinese, too; files stay what they are."""
        tab = self.open("#/clients/podman", language="zh-CN")
        tab.wait_text("registries.conf")
        tab.wait_text("配置客户端")
        self.pictures(tab, "clients-zh")
        self.check(tab)
