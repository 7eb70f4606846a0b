"""Makes the pictures of the README: a real daemon with a few images, and counts that are made up.

Run by ``make pictures``; it needs chromium and docker-registry.
"""

import math
import random
import shutil
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from regcache.counts import QUARTER, CountBatch, NameKind, Sums  # noqa: E402
from regcache.store.count_file import CountFile  # noqa: E402
from regcache.store.paths import StorePaths  # noqa: E402
from tests.integration.ui_base import browser  # noqa: E402
from tests.support import images  # noqa: E402
from tests.support.devtools import Tab  # noqa: E402
from tests.support.servers import DockerRegistry, Regcache  # noqa: E402

MIB = 1 << 20
DAYS, DISK = 30, 168 * MIB
#: Repository, size of a layer in MiB, share of the traffic.
IMAGES = {
    "docker.io/library/node": (24, 31),
    "docker.io/library/postgres": (18, 24),
    "ghcr.io/astral-sh/uv": (8, 17),
    "docker.io/library/nginx": (6, 12),
    "quay.io/prometheus/prometheus": (12, 9),
    "registry.k8s.io/kube-apiserver": (14, 7),
}
USERS = {"ci": 52, "k3s-01": 27, "alice": 14, "bob": 7}
UPSTREAMS = tuple(dict.fromkeys(name.split("/")[0] for name in IMAGES))


def load(at: float) -> float:
    """How busy a time of day is (0 to 1), with some chance."""
    hour = at % 86_400 / 3600
    day = math.exp(-(((hour - 11) / 3.2) ** 2)) + 0.7 * math.exp(-(((hour - 16) / 2.4) ** 2))
    return (0.08 + day) * random.uniform(0.75, 1.25)


def batch(at: float, share: float) -> CountBatch:
    """What is counted in a quarter of an hour."""
    served = int(load(at) * 640 * MIB)
    fetched = int(served * random.uniform(0.01, 0.05) + (random.random() < 0.04) * 300 * MIB)
    requests = served // (3 * MIB) + 5

    def part(share: float) -> Sums:
        return Sums(
            served=int(served * share),
            fetched=int(fetched * share),
            requests=int(requests * share),
            hits=int(requests * share * 0.96),
            pulls=int(requests * share / 6),
        )

    names = {(NameKind.REPOSITORY, name): part(each / 100) for name, (_, each) in IMAGES.items()}
    names |= {(NameKind.PRINCIPAL, name): part(each / 100) for name, each in USERS.items()}
    of = {one: sum(each for name, (_, each) in IMAGES.items() if name.startswith(one)) / 100
          for one in UPSTREAMS}  # fmt: skip
    disk = int(DISK * (0.72 + 0.28 * share))
    return CountBatch(at, {name: part(each) for name, each in of.items()}, names, disk)


def count(folder: Path) -> None:
    """Write a month of counts."""
    random.seed(7)
    file = CountFile(StorePaths(str(folder)).counts)
    now, steps = time.time(), DAYS * 86_400 // QUARTER
    for number in range(steps):
        file.add(batch(now - (steps - number) * QUARTER, number / steps))
    file.close()


def fill(daemon: Regcache, registry: DockerRegistry) -> None:
    """Push the images, and pull them through."""
    for name, (size, _) in IMAGES.items():
        upstream, _, repository = name.partition("/")
        made = images.multi_image(name, size * MIB)
        registry.client().push(repository, made, "1")
        client = daemon.client()
        tails = ["manifests/1", *(f"manifests/{each.digest}" for each in made.children)]
        for tail in (*tails, *(f"blobs/{each}" for each in made.all_blobs())):
            client.get(f"/v2/{upstream}/{repository}/{tail}")


def look(tab: Tab) -> None:
    """Keep the pictures, light and dark."""
    tab.wait("document.querySelector('time-chart canvas')")
    tab.wait_text("prometheus")
    for theme in ("light", "dark"):
        tab.colours(theme)
        tab.wait(f"matchMedia('(prefers-color-scheme: {theme})').matches")
        path = tab.picture(f"readme-{theme}", whole=False)
        shutil.copy(path, CHECKOUT / "docs" / f"overview-{theme}.png")


def main() -> None:
    """Start everything, and take the pictures."""
    registry = DockerRegistry()
    daemon = Regcache(
        {
            "upstreams": {name: {"urls": [registry.url]} for name in UPSTREAMS},
            "default_upstream": UPSTREAMS[0],
        }
    )
    daemon.config["storage"] |= {"max_size": "256MiB", "max_blob": "100MiB"}
    try:
        count(daemon.directory)
        fill(daemon.start(), registry)
        tab = browser().tab(width=1280, height=900)
        tab.open(f"http://127.0.0.1:{daemon.admin_port}/")
        look(tab)
    finally:
        daemon.close()
        registry.close()


if __name__ == "__main__":
    main()
