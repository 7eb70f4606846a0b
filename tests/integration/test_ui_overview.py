"""The web UI in a real browser: its shell, and the overview."""

import signal

from tests.integration.ui_base import DOWN, NGINX, OTHER, SITE, UiCase, shelf
from tests.support.processes import wait_until


class OverviewTests(UiCase):
    """What the first page shows."""

    def test_empty(self) -> None:
        """A daemon that nobody has used says so, and asks no upstream."""
        asked = len(shelf().registry.requests())
        tab = self.open()
        tab.wait_text("Ready. Nothing has been pulled yet.")
        tab.wait_text("not asked yet")
        tab.wait_text("No traffic in this time")
        self.assertIn("Our registry", tab.run("document.title"))
        self.pictures(tab, "overview-empty")
        self.check(tab)
        self.assertEqual(len(shelf().registry.requests()), asked)

    def test_used(self) -> None:
        """What was pulled is told within seconds, without the page being asked for again."""
        tab = self.open()
        tab.wait_text("Ready.")
        self.live(tab)
        self.pull(NGINX, shelf().nginx, "1.29")
        self.pull(SITE, shelf().site, "2", upstream=OTHER)
        tab.wait_text("Working. 2 of 3 upstreams answer")
        client = self.daemon.client()
        self.assertEqual(client.get(f"/v2/{DOWN}/a/b/manifests/1").status, 502)
        tab.wait_text(f"{DOWN} does not answer and this is not in the cache.")
        tab.reload()
        tab.wait("document.querySelector('time-chart canvas')")
        tab.wait_text("library/nginx")
        self.pictures(tab, "overview")
        self.check(tab)

    def test_chinese(self) -> None:
        """The same in Chinese, as the browser asks for or as chosen."""
        self.pull(NGINX, shelf().nginx, "1.29")
        tab = self.open(language="zh-CN")
        tab.wait_text("运行正常")
        self.assertEqual(tab.run("document.documentElement.lang"), "zh-CN")
        self.pictures(tab, "overview-zh")
        self.check(tab)
        tab.click(".top button", "EN")
        tab.wait_text("Working.")
        tab.reload()
        tab.wait_text("Working.")

    def test_chart(self) -> None:
        """The chart is a sentence; arrow keys read its points; there is a table."""
        self.pull(NGINX, shelf().nginx, "1.29")
        tab = self.open()
        tab.wait(
            "document.querySelector('time-chart[aria-label^=\"Traffic of the last 24 hours\"]')"
        )
        tab.focus("document.querySelector('time-chart')")
        tab.press("ArrowLeft")
        tab.wait("document.getElementById('announced').textContent.includes('Served')")
        tab.click("button[title='Show as table']")
        tab.wait("document.querySelector('table[aria-label=Traffic]')")
        self.check(tab)


class ShellTests(UiCase):
    """What stands around every page."""

    def test_link(self) -> None:
        """The link of regcachectl signs in once, and is not left in the history."""
        link = self.link()
        tab = self.open()
        tab.wait_text("Reading only")
        tab.open(link)
        tab.wait_text("Sign out")
        self.assertNotIn("link", tab.run("location.href"))
        tab.click("button", "Sign out")
        tab.wait_text("Reading only")
        again = self.open()
        again.open(link)
        again.wait_text("the link was used already")
        self.check(again, expected=("401",))

    def test_search(self) -> None:
        """A slash leads to the search, which leads to the images."""
        tab = self.open()
        tab.wait("document.querySelector('.find input')")
        tab.press("/")
        tab.wait("document.activeElement === document.querySelector('.find input')")
        tab.ask("Input.insertText", text="a/b:1")
        tab.press("Enter")
        tab.wait("location.hash.startsWith('#/images?q=a%2Fb')")

    def test_lost_stream(self) -> None:
        """While the daemon is away old figures stay, dated; afterwards it goes on by itself."""
        self.pull(NGINX, shelf().nginx, "1.29")
        tab = self.open()
        tab.wait_text("Working.")
        self.live(tab)
        self.daemon.process.signal(signal.SIGTERM)
        # Twelve seconds later it would say that nobody answers, and its end may take as long.
        tab.wait_text("The live connection broke at")
        self.assertIn("Working.", tab.text())
        self.daemon.stop()
        self.daemon.start()
        self.live(tab)
        wait_until(lambda: "The live connection broke" not in tab.text(), "live again")
        self.check(tab, expected=("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE", "ERR_EMPTY"))
