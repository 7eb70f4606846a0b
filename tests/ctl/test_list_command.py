"""Tests for regcachectl ls and inspect."""

import json
from typing import Any

from regcache.admin.api.image_calls import GET_IMAGE, GET_PLATFORM
from regcache.admin.api.repository_calls import GET_REPOSITORIES, GET_TAGS
from regcache.ctl.client import RefusedError
from regcache.ctl.inspect_command import inspect
from regcache.ctl.list_command import list_images
from tests.ctl.cases import CommandCase

DIGEST = "sha256:" + "ab" * 32
NAME = "docker.io/library/nginx"
REPOSITORY: dict[str, Any] = {
    "name": NAME,
    "tags": 3,
    "platforms": [
        {
            "platform": "linux/amd64",
            "here_bytes": 2048,
            "all_bytes": 2048,
            "complete_tags": 3,
            "partial_tags": 0,
        },
        {
            "platform": "linux/arm64",
            "here_bytes": 1000,
            "all_bytes": 2000,
            "complete_tags": 0,
            "partial_tags": 1,
        },
    ],
    "absent_platforms": 4,
    "stored_bytes": 3048,
    "own_bytes": 3048,
    "shared_bytes": 0,
    "pulls_30d": 7,
    "pulls_series": [0] * 23 + [7],
    "last_used": "2026-11-26T08:00:00Z",
    "pinned_tags": 1,
}
PLATFORM: dict[str, Any] = {
    "platform": "linux/amd64",
    "variant": None,
    "digest": DIGEST,
    "manifest_here": True,
    "config_here": True,
    "layers_here": 2,
    "layers": 2,
    "here_bytes": 2048,
    "all_bytes": 2048,
    "complete": True,
    "last_used": None,
}
ABSENT = PLATFORM | {
    "platform": "linux/s390x",
    "manifest_here": False,
    "config_here": None,
    "layers_here": 0,
    "layers": None,
    "here_bytes": 0,
    "all_bytes": None,
    "complete": False,
}
PART = PLATFORM | {"platform": None, "complete": False, "here_bytes": 1024, "layers_here": 1}
ROW: dict[str, Any] = {
    "tags": ["1.29", "latest"],
    "digest": DIGEST,
    "media_type": None,
    "platforms": [PLATFORM, ABSENT, PART],
    "frees_bytes": None,
    "checked": None,
    "fresh_until": None,
    "last_used": None,
    "pinned": True,
}
GONE = ROW | {"tags": ["0"], "platforms": [ABSENT]}
IMAGE: dict[str, Any] = {
    "name": NAME,
    "reference": "1.29",
    "digest": DIGEST,
    "media_type": "application/vnd.oci.image.index.v1+json",
    "tags_same_digest": ["1.29", "latest"],
    "pull": {"docker": "docker pull x", "by_digest": "docker pull y"},
    "platforms": [PLATFORM, ABSENT, PART],
    "attached": [{"kind": "signature", "count": 2, "here": 1}],
    "stored_bytes": 4096,
    "own_bytes": 3072,
    "shared_bytes": 1024,
    "shared_with": 11,
    "first_fetched": None,
    "fetched_by": None,
    "last_used": None,
    "pulls_30d": 3,
    "checked": None,
    "fresh_until": None,
    "pinned": {"by": "alice", "since": None},
    "gone": None,
}
DETAIL: dict[str, Any] = {
    "config": {
        "created": None,
        "author": None,
        "user": "nobody",
        "workdir": None,
        "entrypoint": ["/entry"],
        "cmd": [],
        "env": ["A=\x1b[2J"],
        "ports": [],
        "volumes": [],
    },
    "labels": [{"key": "k", "value": "v\x9b"}],
    "steps": [
        {
            "created_by": "RUN  a\nb",
            "created": None,
            "empty": False,
            "layer": {
                "digest": DIGEST,
                "media_type": None,
                "size_bytes": 1024,
                "here_bytes": 1024,
                "used_by": 4,
            },
        },
        {"created_by": "CMD x", "created": None, "empty": True, "layer": None},
    ],
}


def page(*items: Any) -> dict[str, Any]:
    """One page of a list."""
    return {"items": list(items), "next": None, "total": len(items), "counting": None}


class ListTests(CommandCase):
    """Repositories, and images of one."""

    def test_repositories(self) -> None:
        """A line for each, with what is partly here."""
        self.daemon.answer(GET_REPOSITORIES, page(REPOSITORY))
        arguments = ("ls", "nginx", "--part", "--sort", "size")
        code, out, _ = self.run_work(list_images, *arguments)
        self.assertEqual(code, 0)
        self.assertEqual(
            out.rstrip("\n").split("\t"),
            [
                NAME,
                "3, 1 pinned",
                "linux/amd64, linux/arm64 50%",
                "3.0 KiB",
                "0 B",
                "7",
                "2026-11-26T08:00:00Z",
            ],
        )
        (_, _, asked) = self.daemon.asked[0]
        wanted = {"q": "nginx", "part": "true", "pinned": None, "sort": "size"}
        self.assertEqual({name: asked[name] for name in wanted}, wanted)

    def test_not_counted(self) -> None:
        """While repositories are being counted it says that some are missing."""
        counting = {"counted": 40, "repositories": 1500}
        self.daemon.answer(GET_REPOSITORIES, page(REPOSITORY) | {"counting": counting})
        code, out, errors = self.run_work(list_images, "ls")
        self.assertEqual((code, len(out.splitlines())), (0, 1))
        self.assertIn("being counted (40 of 1500)", errors)

    def test_tags(self) -> None:
        """A line for each digest."""
        self.daemon.answer(GET_TAGS, page(ROW))
        code, out, _ = self.run_work(list_images, "ls", "--tags", "nginx")
        self.assertEqual(code, 0)
        cells = out.rstrip("\n").split("\t")
        self.assertEqual(cells[:2], ["1.29, latest (pinned)", DIGEST])
        self.assertEqual(cells[2], "linux/amd64, linux/s390x not here, unknown platform 50%")
        self.assertEqual(cells[3:], ["?", "?", "?"])
        self.assertEqual(self.daemon.asked[0][2]["name"], NAME)

    def test_json(self) -> None:
        """--json prints the rows as a list of the API, with all pages in one."""
        self.daemon.answer(GET_REPOSITORIES, page(REPOSITORY))
        _, out, _ = self.run_work(list_images, "ls", "--json")
        self.assertEqual(json.loads(out), {"items": [REPOSITORY], "next": None, "total": 1})

    def test_tags_json(self) -> None:
        """So it does with the images of a repository."""
        self.daemon.answer(GET_TAGS, page(ROW))
        _, out, _ = self.run_work(list_images, "ls", "--tags", "nginx", "--json")
        self.assertEqual(json.loads(out), {"items": [ROW], "next": None, "total": 1})

    def test_terminal(self) -> None:
        """On a terminal it is a table."""
        self.terminal = True
        self.daemon.answer(GET_REPOSITORIES, page(REPOSITORY))
        _, out, _ = self.run_work(list_images, "ls")
        self.assertIn("repository", out)

    def test_nothing(self) -> None:
        """A terminal is told that there is nothing; what reads lines gets none."""
        self.daemon.answer(GET_REPOSITORIES, page())
        self.assertEqual(self.run_work(list_images, "ls", "nignx")[1], "")
        self.terminal = True
        for words, told in (((), "nothing is"), (("nignx",), "nothing like this is")):
            _, out, _ = self.run_work(list_images, "ls", *words)
            self.assertEqual(out, f"{told} in the cache; no upstream was asked\n")


class InspectTests(CommandCase):
    """One image."""

    def test_image(self) -> None:
        """What is here, by platform."""
        self.daemon.answer(GET_IMAGE, IMAGE)
        code, out, _ = self.run_work(inspect, "inspect", "nginx:1.29")
        lines = out.splitlines()
        self.assertEqual(code, 0)
        for line in ("shared\t1.0 KiB with 11 more", "signature\t2, 1 here", "pinned\tby alice"):
            self.assertIn(line, lines)
        self.assertIn(f"linux/s390x\tno\t?\t?\t{DIGEST}", lines)
        self.assertIn(f"unknown platform\t1.0 KiB of 2.0 KiB\t1/2\t?\t{DIGEST}", lines)

    def test_platform(self) -> None:
        """Its configuration and layers; what others wrote steers no terminal."""
        self.daemon.answer(GET_IMAGE, IMAGE)
        self.daemon.answer(GET_PLATFORM, DETAIL)
        arguments = ("inspect", "nginx:1.29", "--platform", "linux/amd64")
        code, out, _ = self.run_work(inspect, *arguments)
        lines = out.splitlines()
        self.assertEqual(code, 0)
        for line in ("user\tnobody", "env\tA=\\x1b[2J", "label\tk=v\\x9b"):
            self.assertIn(line, lines)
        self.assertIn("1.0 KiB\tyes\t4\tRUN a b", lines)
        self.assertIn("\t\t\tCMD x", lines)

    def test_absent(self) -> None:
        """1 for what is not here, with what there is."""
        self.daemon.answer(GET_IMAGE, IMAGE)
        code, _, errors = self.run_work(inspect, "inspect", "nginx", "--platform", "linux/x")
        self.assertEqual(code, 1)
        self.assertIn("linux/s390x", errors)
        self.daemon.answer(GET_IMAGE, RefusedError({"detail": "it is not in the cache"}))
        code, _, errors = self.run_work(inspect, "inspect", "nginx")
        self.assertEqual((code, errors), (1, "it is not in the cache\n"))

    def test_another_tag(self) -> None:
        """Where an image is not here, some tags are named that are, or the way to find any."""
        missing = RefusedError({"code": "NOT_CACHED", "detail": "it is not in the cache"})
        self.daemon.answer(GET_IMAGE, missing)
        rows = [ROW | {"tags": ["1.29", "1"]}, ROW | {"tags": ["1.28"]}]
        for answer, hint in (
            (page(*rows), f"here of {NAME}: 1.29, 1, 1.28"),
            (page(GONE, ROW | {"tags": list("123456")}), f"here of {NAME}: 1, 2, 3, 4, 5, …"),
            (page(), "regcachectl ls shows what is"),
            (RefusedError({"code": "NOT_CACHED"}), "regcachectl ls shows what is"),
        ):
            self.daemon.answer(GET_TAGS, answer)
            code, _, errors = self.run_work(inspect, "inspect", "nginx")
            self.assertEqual((code, errors), (1, f"it is not in the cache\n{hint}\n"))

    def test_json(self) -> None:
        """--json prints the answer."""
        self.daemon.answer(GET_IMAGE, IMAGE)
        _, out, _ = self.run_work(inspect, "inspect", "nginx", "--json")
        self.assertEqual(json.loads(out), IMAGE)
