"""The pages of requests and transfers in a real browser."""

from tests.integration.ui_base import DOWN, NGINX, UiCase, shelf
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.images import MIB
from tests.support.processes import wait_until

REPOSITORY = "team/app"
#: What a client may call itself, and must not do anything with.
HOSTILE = "<img src=x onerror=alert(1)>\u202eevil"


class RequestsTests(UiCase):
    """Why was it slow or refused?"""

    def test_list(self) -> None:
        """What clients ask appears by itself; filters narrow the list and live in the address."""
        tab = self.open("#/requests")
        self.live(tab)
        self.pull(NGINX, shelf().nginx, "1.29")
        client = self.daemon.client()
        self.assertEqual(client.get(f"/v2/{DOWN}/a/b/manifests/1").status, 502)
        tab.wait_text("does not answer and this is not in the cache")
        tab.wait_text("library/nginx")
        tab.click(".pill", "Failed")
        tab.wait("location.hash.includes('failed=1')")
        wait_until(lambda: "library/nginx" not in tab.text(), "only what failed")
        tab.wait_text("a/b")
        tab.click(".pill", "All")
        tab.fill(".filters input", "nothing like it")
        tab.wait_text("No request fits this filter")
        tab.fill(".filters input", "nginx")
        tab.wait_text("library/nginx")
        self.pictures(tab, "requests")
        self.check(tab)

    def test_new_ones_wait(self) -> None:
        """While a request is opened nothing moves; new ones are counted, and shown when asked."""
        client = self.daemon.client()
        self.assertEqual(client.get(f"/v2/{DOWN}/a/b/manifests/1").status, 502)
        tab = self.open("#/requests")
        self.live(tab)
        tab.wait_text("a/b")
        tab.click("td.name a")
        tab.wait("document.querySelector('.dossier')")
        self.assertEqual(client.get(f"/v2/{DOWN}/c/d/manifests/1").status, 502)
        tab.wait_text("1 new, show them")
        tab.click("button", "1 new, show them")
        tab.wait_text("c/d")
        self.check(tab)

    def test_hostile_agent(self) -> None:
        """What a client calls itself is text, and what has no shape is shown by its number."""
        agent = HOSTILE.encode().decode("latin-1")
        client = self.daemon.client()
        client.get(f"/v2/{DOWN}/a/b/manifests/1", **{"User-Agent": agent})
        tab = self.open("#/requests")
        tab.wait_text("a/b")
        tab.click("td.name a")
        tab.wait_text("onerror")
        self.assertIsNone(tab.run("document.querySelector('main img')"))
        self.check(tab)

    def test_gone(self) -> None:
        """A link to a request that is forgotten says so, above the list."""
        self.pull(NGINX, shelf().nginx, "1.29")
        tab = self.open("#/requests/nosuchrequest")
        tab.wait_text("NOT_CACHED")
        tab.wait_text("library/nginx")
        self.check(tab, expected=("404",))


class SlowUpstreamTests(UiCase):
    """An upstream that sends slowly."""

    def setUp(self) -> None:
        self.upstream = self.faulty_upstream()
        super().setUp()

    def configuration(self) -> dict[str, object]:
        """With the slow one."""
        # What is held stays held, however long pictures take.
        name = "slow.test"
        upstreams = {name: {"urls": [self.upstream.url], "stall_timeout": "10m"}}
        return {"upstreams": upstreams, "default_upstream": name, "ui": {"title": "Slow"}}

    def test_why_it_was_slow(self) -> None:
        """One request, opened: the verdict, its phases, and who was waited for."""
        blob = self.upstream.add_generated_blob(REPOSITORY, 8 * MIB, "slow")
        target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
        self.upstream.faults.always(target, Fault(first_byte_delay=2.5, rate=4e6))
        self.assertEqual(Download(self.daemon.client(), target).wait().digest, blob.digest)
        tab = self.open("#/requests?slow=1")
        tab.wait_text(REPOSITORY)
        tab.click("td.name a")
        tab.wait("document.querySelector('.dossier .wf')")
        tab.wait_text(" s to answer")
        tab.wait_text("Before the first byte")
        tab.wait_text("Who was waited for")
        self.pictures(tab, "request")
        self.check(tab)
        tab.in_chinese()
        tab.wait_text("首字节之前")
        self.pictures(tab, "request-zh")

    def test_transfers(self) -> None:
        """A download that is running is shown with its size, and is gone when it has ended."""
        tab = self.open("#/transfers")
        tab.wait_text("Nothing is being fetched")
        self.live(tab)
        blob = self.upstream.add_generated_blob(REPOSITORY, 8 * MIB, "held")
        target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
        held = Fault(hold_at=2 * MIB)
        self.upstream.faults.then(target, held)
        download = Download(self.daemon.client(), target)
        tab.wait_text(REPOSITORY)
        tab.wait_text("of 8.00\u00a0MiB")
        tab.wait_text("Readers")
        self.pictures(tab, "transfers")
        self.check(tab)
        held.release.set()
        self.assertEqual(download.wait().digest, blob.digest)
        tab.wait_text("Nothing is being fetched")
        self.check_access(tab)

    def test_parked(self) -> None:
        """A download whose client left is parked, and says that it goes on when asked for."""
        blob = self.upstream.add_generated_blob(REPOSITORY, 64 * MIB, "parked")
        target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
        held = Fault(hold_at=2 * MIB)
        self.upstream.faults.then(target, held)
        self.addCleanup(held.release.set)
        Download(self.daemon.client(), target, most=MIB).wait()
        tab = self.open("#/transfers")
        tab.wait_text(REPOSITORY)
        tab.wait_text("nobody waits")
        tab.wait_text("of 64.0\u00a0MiB")
        self.check(tab)

    def test_jobs(self) -> None:
        """What goes on behind the answers is listed on the page of transfers."""
        tab = self.open("#/transfers", admin=True)
        tab.wait_text("Nothing is being fetched")
        tab.run(
            "fetch('/api/v1/verify', {method: 'POST', body: '{}',"
            " headers: {'X-Regcache': '1', 'Content-Type': 'application/json'}}), 1"
        )
        tab.wait_text("Verification")
        self.check(tab)
