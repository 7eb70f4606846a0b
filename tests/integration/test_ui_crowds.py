"""Images of strangers, and very many, in a real browser: harmless, legible, page by page."""

import hashlib
import json
from typing import Any

from tests.integration.base import shared
from tests.integration.ui_base import UiCase
from tests.support import images
from tests.support.devtools import Tab
from tests.support.faulty_upstream import FaultyUpstream

EVIL = "evil.test"
#: Repositories, images of one of them, tags of one of these, and layers of another.
REPOSITORIES, IMAGES, TAGS, LAYERS = 60, 120, 150, 3000
#: Labels, and rows of a page.
LABELS, ROWS = 200, 50
CROWD, MANY = "constructor/prototype", "x/many"
_BAD = "\u202e\u0000<img src=x onerror=alert(1)>\u200b</script>{{x}}${x}"
_SHOWN = "\\u202e\\u0000<img src=x onerror=alert(1)>\\u200b</script>{{x}}${x}"
#: Names of members of every object, and what has no place to break.
_ODD_TAGS = ("__proto__", "constructor", "toString", "T" * 128, "_" * 100)


def _long_name(number: int) -> str:
    return f"{'b' * 100}{number:03}/{'c' * 100}"


def _crowded() -> images.Image:
    """An image of very many layers, which are not here, with hostile texts for each."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "author": _BAD,
            "config": {"Labels": {f"{n} {_BAD}": _BAD for n in range(LABELS)}, "Env": [_BAD] * 99},
            "history": [{"created_by": f"{n} {_BAD}"} for n in range(LAYERS)],
        }
    )
    held = images.Content(images.OCI_FORM.config, config.encode())
    layers = [
        {
            "mediaType": images.OCI_FORM.gzip,
            "digest": f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}",
            "size": 1000 + number,
        }
        for number in range(LAYERS)
    ]
    body = {
        "schemaVersion": 2,
        "mediaType": images.OCI_FORM.manifest,
        "config": held.descriptor(),
        "layers": layers,
    }
    return images.Image(images.OCI_FORM.manifest, json.dumps(body).encode(), (held,))


class Crowd:
    """An upstream of strangers.

    :ivar manifests: repositories and tags to be pulled.
    """

    def __init__(self) -> None:
        self.upstream = FaultyUpstream()
        self.close = self.upstream.close
        self.manifests: list[tuple[str, str]] = []
        self.many = _crowded()
        layer = images.gzip_layer("crowd", 100)
        for number in range(REPOSITORIES):
            self._add(_long_name(number), images.image([layer], seed=number), "latest")
        for number in range(IMAGES):
            self._add(CROWD, images.image([layer], seed=f"i{number}"), f"v{number}")
        tagged = (*_ODD_TAGS, *(f"{number:0100}" for number in range(TAGS)))
        self._add(CROWD, images.image([layer], seed="tags"), *tagged)
        self._add(MANY, self.many, "1")

    def _add(self, name: str, image: images.Image, *tags: str) -> None:
        self.upstream.add_image(name, image, *tags)
        self.manifests += [(name, tag) for tag in tags]


crowd = shared(Crowd)


class CrowdTests(UiCase):
    """Lists of more than one page, and images of very much."""

    def configuration(self) -> dict[str, Any]:
        """With an upstream of strangers."""
        told = super().configuration()
        told["upstreams"][EVIL] = {"urls": [crowd().upstream.url]}
        return told

    def setUp(self) -> None:
        super().setUp()
        client = self.daemon.client()
        for name, tag in crowd().manifests:
            self.assertEqual(client.get(f"/v2/{EVIL}/{name}/manifests/{tag}").status, 200)
        config = crowd().many.blobs[0].digest
        self.assertEqual(client.get(f"/v2/{EVIL}/{MANY}/blobs/{config}").status, 200)

    def _rows(self, tab: Tab, count: int) -> None:
        tab.wait(f"document.querySelectorAll('tbody tr.r').length === {count}")

    def _harmless(self, tab: Tab) -> None:
        """It is text, it fits, and everybody can use it."""
        self.assertEqual(tab.run("document.querySelectorAll('main img, main script').length"), 0)
        self.check(tab, expected=("400",))

    def test_lists(self) -> None:
        """Repositories, found ones, and images beyond the first page."""
        tab = self.open(f"#/images?q={'b' * 100}&sort=name", admin=True)
        self._rows(tab, ROWS)
        tab.click("footer button", "Show more")
        self._rows(tab, REPOSITORIES)
        tab.wait_text(f"{REPOSITORIES} of {REPOSITORIES}")
        self._harmless(tab)
        tab.go(f"#/images/{EVIL}/{CROWD}")
        self._rows(tab, ROWS)
        for count in (2 * ROWS, IMAGES + 1):
            tab.click("footer button", "Show more")
            self._rows(tab, count)
        tab.click("td.name button", f"{TAGS + len(_ODD_TAGS) - 13} more")
        tab.wait(f"document.querySelector('main').innerText.includes('{'T' * 128}')")
        tab.picture("crowd")
        self._harmless(tab)
        tab.go(f"#/images?q={_BAD}")
        tab.wait_text("q: it has a control character")
        tab.go("#/images?q=\u202e<img src=x onerror=alert(1)>")
        tab.wait_text("<img src=x onerror=alert(1)>")
        self._harmless(tab)

    def test_image(self) -> None:
        """Layers by the thousand, each with a hostile text, and as many labels as are shown."""
        tab = self.open(f"#/images/{EVIL}/{MANY}:1", admin=True)
        tab.wait_text(f"0 of {LAYERS:,} layers here")
        tab.wait_text(f"100 of {LAYERS:,}")
        tab.wait_text(f"7 {_SHOWN}")
        tab.picture("crowd-image")
        self._harmless(tab)
        tab.click("footer button", "Show more")
        tab.wait_text(f"150 {_SHOWN}")
        tab.go(f"#/images/{EVIL}/{CROWD}:__proto__")
        tab.wait_text("__proto__")
        tab.wait("document.querySelector('.head button.danger')")
        self._harmless(tab)
        tab.click(".head button", "Delete…")
        tab.wait("document.querySelector('dialog .plan li')")
        self.check_looks(tab)
