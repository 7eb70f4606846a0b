"""Makes pictures of every page of the web UI: build/ui/LANGUAGE-PAGE-THEME-SIZE.png.

Run by ``make pictures``; it needs chromium. What is pictured is a real daemon, with images of some
kinds in it, downloads under way, and counts that are made up. ``LANGUAGE`` and ``PAGE`` as
arguments limit it to these.
"""

import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

from ui_pictures import count  # noqa: E402

from tests.integration.ui_base import SIZES, browser  # noqa: E402
from tests.support import images  # noqa: E402
from tests.support.ctl import run_ctl  # noqa: E402
from tests.support.devtools import Tab  # noqa: E402
from tests.support.downloads import Download  # noqa: E402
from tests.support.faults import Fault  # noqa: E402
from tests.support.faulty_upstream import FaultyUpstream  # noqa: E402
from tests.support.processes import Workspace  # noqa: E402
from tests.support.servers import Regcache  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
#: Upstream, repository, tags, KiB of a layer, architectures, and how many of them are pulled.
SHELF: tuple[tuple[str, str, tuple[str, ...], int, int, int], ...] = (
    ("docker.io", "library/nginx", ("1.29", "1.29.3", "latest", "mainline"), 900, 6, 2),
    ("docker.io", "library/nginx", ("1.28", "stable"), 800, 4, 1),
    ("docker.io", "library/postgres", ("17",), 1900, 3, 2),
    ("docker.io", "library/node", ("22-bookworm",), 2400, 3, 1),
    ("ghcr.io", "astral-sh/uv", ("0.9",), 700, 2, 1),
    ("ghcr.io", "home-assistant/home-assistant", ("2026.11",), 2800, 2, 1),
    ("quay.io", "prometheus/prometheus", ("v3.7.0",), 600, 4, 1),
    ("registry.k8s.io", "kube-apiserver", ("v1.34.2",), 800, 3, 2),
    ("registry.k8s.io", "pause", ("3.10",), 90, 4, 1),
)
ARCHITECTURES = ("amd64", "arm64", "arm", "386", "ppc64le", "s390x")
STEPS = (
    "# debian.sh --arch 'amd64' out/ 'trixie' '@1762202650'",
    "LABEL maintainer=NGINX Docker Maintainers <docker-maint@nginx.com>",
    "ENV NGINX_VERSION=1.29.3 PKG_RELEASE=1~trixie DYNPKG_RELEASE=1~trixie",
    "RUN /bin/sh -c set -x && groupadd --system --gid 101 nginx && useradd --system --gid nginx"
    " --no-create-home --home /nonexistent --comment 'nginx user' --shell /bin/false --uid 101"
    " nginx && apt-get update && apt-get install --no-install-recommends --no-install-suggests"
    " -y gnupg1 ca-certificates && rm -rf /var/lib/apt/lists/* # buildkit",
    "COPY docker-entrypoint.sh / # buildkit",
    'ENTRYPOINT ["/docker-entrypoint.sh"]',
)
LABELS = {
    "org.opencontainers.image.source": "https://github.com/nginx/docker-nginx",
    "org.opencontainers.image.description": "Text of a stranger: <img src=x onerror=alert(1)> "
    "\u202egnp.exe",
    "org.opencontainers.image.revision": "0a5b8ff5fc1a7f93f1d0ce8a5c6e3a0ef3a0cc9f",
}
AGENTS = ("docker/28.3.1 go/go1.24", "containerd/2.1.4", "Podman/5.6.2", "skopeo/1.20")
#: Name of the picture, the address, and what is there when it is.
PAGES = {
    "overview": ("#/", "document.querySelectorAll('.xfer').length > 1"),
    "images": ("#/images", "document.querySelectorAll('tbody tr.r').length > 5"),
    "images-none": ("#/images?q=nothing", "document.querySelector('.empty')"),
    "repository": ("#/images/docker.io/library/nginx", "document.querySelector('td.name a')"),
    "image": ("#/images/docker.io/library/nginx:1.29", "document.querySelector('.hist tr.r')"),
    "image-none": ("#/images/docker.io/library/redis:8", "document.querySelector('.empty')"),
    "transfers": ("#/transfers", "document.querySelectorAll('.xfer').length > 1"),
    "requests": ("#/requests", "document.querySelector('td.name a')"),
    "request": ("#/requests?slow=1", "document.querySelectorAll('tbody tr.r').length === 1"),
    "storage": ("#/storage", "document.querySelectorAll('.panel').length > 4"),
    "upstreams": ("#/upstreams", "document.querySelectorAll('.panel').length > 4"),
    "clients": ("#/clients", "document.querySelector('pre')"),
    "clients-containerd": ("#/clients/containerd", "document.querySelector('pre')"),
    "accounts": ("#/accounts", "document.querySelectorAll('tbody tr.r').length > 3"),
    "account": ("#/accounts/alice", "document.querySelector('.panel')"),
    "missing": ("#/nowhere", "document.querySelector('.empty')"),
}

#: Of these downloads are shown.
BUSY = ("overview", "transfers")


def image(name: str, size: int, count: int) -> images.Image:
    """An index of images whose layers have a history."""
    base = images.gzip_layer("base", 300 * KIB)
    children = {}
    for architecture in ARCHITECTURES[:count]:
        layers = [base, images.gzip_layer(f"{name} {architecture}", size * KIB)]
        layers.append(images.gzip_layer(f"{name} {architecture} more", 40 * KIB))
        made = images.image(layers, architecture=architecture, seed=name)
        children[architecture] = described(made, architecture)
    return images.index(children)


def described(made: images.Image, architecture: str) -> images.Image:
    """The same image with a configuration such as real ones have."""
    layers = [each for each in made.blobs if isinstance(each, images.Layer)]
    empty = (False, True, True, False, False, True)
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": "2026-11-04T09:12:11Z",
        "config": {
            "Cmd": ["nginx", "-g", "daemon off;"],
            "Entrypoint": ["/docker-entrypoint.sh"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/bin", "NGINX_VERSION=1.29.3"],
            "ExposedPorts": {"80/tcp": {}},
            "Labels": LABELS,
        },
        "rootfs": {"type": "layers", "diff_ids": [each.diff_id for each in layers]},
        "history": [
            {"created": "2026-11-04T09:12:11Z", "created_by": text, "empty_layer": is_empty}
            for text, is_empty in zip(STEPS, empty, strict=True)
        ],
    }
    held = images.Content(images.OCI_FORM.config, json.dumps(config).encode())
    body = json.loads(made.data) | {"config": held.descriptor()}
    return images.Image(made.media_type, json.dumps(body).encode(), (held, *layers))


class Scene:
    """A daemon that looks as if it had been used for a month."""

    def __init__(self) -> None:
        self.ends = ExitStack()
        self.upstream = FaultyUpstream()
        self.ends.callback(self.upstream.close)
        workspace = Workspace()
        self.ends.callback(workspace.remove)
        self.socket = workspace.path / "admin.sock"
        names = tuple(dict.fromkeys(each[0] for each in SHELF))
        urls = {name: {"urls": [self.upstream.url]} for name in names}
        rules = [{"accounts": ["anonymous", "*"]}]
        self.daemon = Regcache(
            {
                "upstreams": {**urls, "gcr.io": {"urls": ["http://127.0.0.1:1"]}},
                "default_upstream": "docker.io",
                "access": {"seats": str(workspace.path / "seats.yml"), "rules": rules},
            }
        )
        self.ends.callback(self.daemon.close)
        self.daemon.config["storage"] |= {"max_size": "256MiB", "max_blob": "100MiB"}
        self.daemon.config["admin"]["socket"] = str(self.socket)
        count(self.daemon.directory)
        self.daemon.start()
        self.url = f"http://127.0.0.1:{self.daemon.admin_port}/"

    def ctl(self, *words: str) -> str:
        """What a command of regcachectl prints."""
        done = run_ctl(*words, "--socket", str(self.socket))
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stdout

    def accounts(self) -> None:
        """Some with limits."""
        self.ctl("seat", "add", "alice", "--daily", "20GiB", "--note", "build team", "--key")
        self.ctl("seat", "add", "ci", "--daily", "2MiB", "--monthly", "900GiB")
        self.ctl("seat", "add", "bob", "--until", "2026-11-30", "--note", "has left")
        self.ctl("seat", "add", "a-rather-long-name-of-an-account", "--monthly", "1TiB")

    def pull(self) -> None:
        """Fill the cache, by several clients."""
        for upstream, repository, tags, size, there, pulled in SHELF:
            made = image(f"{repository}:{tags[0]}", size, there)
            self.upstream.add_image(repository, made, *tags)
            client = self.daemon.client(headers={"User-Agent": random.choice(AGENTS)})
            blobs = [blob for child in made.children[:pulled] for blob in child.all_blobs()]
            if pulled > 1:
                blobs.pop()  # the last one is here in part
            tails = [f"manifests/{tag}" for tag in tags]
            tails += [f"manifests/{child.digest}" for child in made.children[:pulled]]
            for tail in (*tails, *(f"blobs/{each}" for each in blobs)):
                client.get(f"/v2/{upstream}/{repository}/{tail}")
        self.ctl("pin", "docker.io/library/nginx:1.29")

    def fail(self) -> None:
        """Some requests that failed, and one that was slow."""
        client = self.daemon.client(headers={"User-Agent": AGENTS[0]})
        for path in ("gcr.io/distroless/static/manifests/nonroot", "library/redis/manifests/9"):
            client.get(f"/v2/{path}")
        slow = self.upstream.add_generated_blob("pytorch/pytorch", 24 * MIB, "slow")
        target = f"/v2/pytorch/pytorch/blobs/{slow.digest}"
        self.upstream.faults.then(target, Fault(first_byte_delay=2.4, rate=8e6))
        Download(client, target).wait()

    def be_busy(self) -> None:
        """Downloads that do not end, and one whose client has left."""
        for number, (size, there) in enumerate(((64, 37), (48, 11), (80, 62))):
            seed = secrets.token_hex(4)  # those before have ended: nothing came for a minute
            blob = self.upstream.add_generated_blob("pytorch/pytorch", size * MIB, seed)
            target = f"/v2/pytorch/pytorch/blobs/{blob.digest}"
            held = Fault(hold_at=there * MIB, rate=40e6)
            self.ends.callback(held.release.set)
            self.upstream.faults.then(target, held)
            client = self.daemon.client(headers={"User-Agent": AGENTS[number]}, timeout=900.0)
            Download(client, target, most=MIB if number == 2 else None)


@contextmanager
def used_scene() -> Iterator[Scene]:
    """One that has been used, until it is not needed any more."""
    made = Scene()
    try:
        made.accounts()
        made.pull()
        made.fail()
        yield made
    finally:
        made.ends.close()


def take(scene: Scene, language: str, only: str) -> Iterator[str]:
    """Take the pictures of one language; gives their names."""
    tab = browser().tab(language=language)
    tab.open(scene.ctl("ui").split()[0])
    tab.wait("document.querySelector('.side')")
    for name, (place, there) in PAGES.items():
        if only in ("", name):
            if name in BUSY:
                scene.be_busy()
            tab.go(place)
            tab.wait(there)
            if name == "request":
                tab.click("td.name a")
                tab.wait("document.querySelector('.dossier .wf')")
            yield from sizes(tab, f"{language}-{name}")
    if only in ("", "delete"):
        tab.go("#/images/docker.io/library/nginx")
        tab.wait("document.querySelector('.head .danger')")
        tab.click(".head .danger")
        tab.wait("document.querySelector('dialog .plan')")
        yield from sizes(tab, f"{language}-delete", whole=False)
    if only in ("", "login"):
        tab.go("#/login")
        tab.wait("document.querySelector('.login')")
        yield from sizes(tab, f"{language}-login")
    tab.close()


def sizes(tab: Tab, name: str, *, whole: bool = True) -> Iterator[str]:
    """One page, light and dark, wide and narrow."""
    for size, (width, height) in SIZES.items():
        tab.resize(width, height)
        for theme in ("light", "dark"):
            tab.colours(theme)
            tab.wait(f"matchMedia('(prefers-color-scheme: {theme})').matches")
            time.sleep(0.15)  # charts are drawn when they know their size
            yield tab.picture(f"{name}-{theme}-{size}", whole=whole).name


def main(language: str = "", page: str = "") -> None:
    """Start everything, and take the pictures."""
    if not subprocess.run(["fc-list", ":lang=zh"], capture_output=True).stdout:
        print("no Chinese font: apt-get install fonts-wqy-zenhei", file=sys.stderr)
    for each in ("en", "zh-CN"):
        if language in ("", each):
            # A new one: downloads that are held in the first are slow requests in the second.
            with used_scene() as made:
                print(sum(1 for _ in take(made, each, page)), "pictures in", each)


if __name__ == "__main__":
    main(*sys.argv[1:])
