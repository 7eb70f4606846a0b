"""Tests for regcachectl rm, sweep, purge, pin and unpin."""

import argparse
import io
import json
from typing import Any
from unittest import mock

from regcache.admin.api.image_calls import GET_IMAGE
from regcache.admin.api.job_calls import GET_JOB
from regcache.admin.api.pin_calls import GET_PINS, PIN, UNPIN
from regcache.admin.api.plan_calls import MAKE_PLAN, RUN_PLAN
from regcache.ctl.client import RefusedError
from regcache.ctl.naming import NamedTarget, named_target
from regcache.ctl.pin_commands import pin, unpin
from regcache.ctl.removal_commands import purge, remove, sweep
from tests.ctl.cases import CommandCase
from tests.ctl.test_list_command import IMAGE
from tests.ctl.test_verify_command import job

DIGEST = f"sha256:{'ab' * 32}"
NAME = "docker.io/library/nginx"
MIB = 1024 * 1024
ITEM = {
    "name": NAME,
    "tags": ["1.27", "old"],
    "digest": DIGEST,
    "unused_days": 12,
    "size_bytes": 3 * MIB,
    "frees_bytes": 2 * MIB,
    "whole": True,
    "reason": "asked",
    "shared_with": ["docker.io/library/debian"],
}
ROW = f"{NAME}:1.27,old\t12 d\t3.0 MiB\t2.0 MiB\tdocker.io/library/debian"
SUMS = "1 image, 2 tags: 2.0 MiB come free, 1.0 MiB stay"


def plan_of(name: str = "p1", **more: Any) -> dict[str, Any]:
    """What is told of a plan."""
    told: dict[str, Any] = {
        "plan": name,
        "expires": "2026-11-26T08:05:00Z",
        "freed_bytes": 2 * MIB,
        "kept_bytes": MIB,
        "tags": 2,
        "images": 1,
        "partials": 0,
        "partial_bytes": 0,
        "items": [ITEM],
        "next": None,
        "skipped": [],
        "skipped_more": 0,
        "also_lost_tags": [],
    }
    return told | more


def removed(**more: Any) -> dict[str, Any]:
    """What is told of a removal that has ended."""
    result = {"contents": 3, "freed_bytes": 2 * MIB, "skipped": [], "skipped_more": 0}
    told = {"kind": "delete", "state": "done", "ended": "2026-11-26T08:01:00Z", "result": result}
    return job(**(told | more))


class RemovalCase(CommandCase):
    """A daemon that removes what it is told to."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon.answer(MAKE_PLAN, plan_of())
        self.daemon.answer(RUN_PLAN, {"job": "7"})
        self.daemon.answer(GET_JOB, removed())

    def calls(self) -> list[str]:
        """What was asked."""
        return [call for _, call, _ in self.daemon.asked]

    def planned(self) -> Any:
        """What the first plan was made of."""
        return next(values for _, call, values in self.daemon.asked if call == "plans")


class RemoveTests(RemovalCase):
    """Showing, asking, removing."""

    def test_yes(self) -> None:
        """With --yes the plan is shown and run, and what came free is told."""
        code, out, errors = self.run_work(remove, "rm", "nginx:1.27", "--yes")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(out.splitlines(), [ROW, SUMS, "2.0 MiB came free"])
        targets = [{"name": NAME, "reference": "1.27"}]
        self.assertEqual(self.planned(), {"action": "delete", "targets": targets})
        self.assertEqual(self.daemon.asked[1], ("POST", "plans/run", {"plan": "p1"}))

    def test_dry_run(self) -> None:
        """It is only shown."""
        code, out, _ = self.run_work(remove, "rm", "nginx", "--dry-run")
        self.assertEqual((code, out.splitlines(), self.calls()), (0, [ROW, SUMS], ["plans"]))
        code, out, _ = self.run_work(remove, "rm", "nginx", "--dry-run", "--json")
        self.assertEqual((code, json.loads(out)["plan"]), (0, "p1"))

    def test_nobody_to_ask(self) -> None:
        """Without a terminal and without --yes nothing is removed, which is wrong usage."""
        for arguments in ((), ("--json",)):
            self.daemon.asked.clear()
            code, _, errors = self.run_work(remove, "rm", "nginx", *arguments)
            self.assertEqual((code, self.calls()), (2, ["plans"]))
            self.assertIn("--yes is needed", errors)

    def test_plan_as_json(self) -> None:
        """With --json and without --yes the plan is the output, and the status as without."""
        nothing = plan_of(items=[], images=0, tags=0, freed_bytes=0)
        for plan, status in ((plan_of(), 2), (nothing, 0)):
            self.daemon.answer(MAKE_PLAN, plan)
            for work, command in ((remove, "rm nginx"), (sweep, "sweep"), (purge, "purge")):
                self.daemon.asked.clear()
                code, out, errors = self.run_work(work, *command.split(), "--json")
                self.assertEqual((code, json.loads(out), self.calls()), (status, plan, ["plans"]))
                self.assertEqual("--yes is needed" in errors, status == 2)

    def test_asked(self) -> None:
        """On a terminal it asks; only yes is yes."""
        self.terminal = True
        for typed, status, calls in (
            ("y\n", 0, ["plans", "plans/run", "job"]),
            ("YES\n", 0, ["plans", "plans/run", "job"]),
            ("n\n", 1, ["plans"]),
            ("", 1, ["plans"]),
        ):
            self.typed = typed
            self.daemon.asked.clear()
            code, out, errors = self.run_work(remove, "rm", "nginx")
            self.assertEqual((code, self.calls()), (status, calls), typed)
            self.assertIn("Remove this? [y/N]", errors)
            self.assertIn("docker.io/library/ngi", out)

    def test_changed(self) -> None:
        """A plan that would remove more now is shown, and asked for again."""
        self.terminal, self.typed = True, "y\ny\n"
        wider = plan_of("p2", images=5, freed_bytes=9 * MIB)
        changed = {
            "code": "PLAN_CHANGED",
            "detail": "more than was shown",
            "params": {"plan": wider},
        }
        self.daemon.answers["POST", "plans/run"] = [RefusedError(changed), {"job": "7"}]
        code, out, errors = self.run_work(remove, "rm", "nginx")
        self.assertEqual(code, 0)
        self.assertEqual(self.daemon.asked[2], ("POST", "plans/run", {"plan": "p2"}))
        self.assertIn("more than was shown; this is what it is now:", errors)
        self.assertEqual(errors.count("Remove this?"), 2)
        self.assertIn("and 4 more images", out)

    def test_changed_and_refused(self) -> None:
        """Who agreed to less has not agreed to more."""
        self.terminal, self.typed = True, "y\nn\n"
        changed = {"code": "PLAN_CHANGED", "detail": "more", "params": {"plan": plan_of("p2")}}
        self.daemon.answers["POST", "plans/run"] = RefusedError(changed)
        self.assertEqual(self.run_work(remove, "rm", "nginx")[0], 1)
        self.assertEqual(self.calls(), ["plans", "plans/run"])

    def test_changes_for_ever(self) -> None:
        """It does not go on for ever with --yes."""
        changed = {"code": "PLAN_CHANGED", "detail": "more", "params": {"plan": plan_of("p2")}}
        self.daemon.answers["POST", "plans/run"] = RefusedError(changed)
        code, _, errors = self.run_work(remove, "rm", "nginx", "--yes")
        self.assertEqual((code, self.calls().count("plans/run")), (1, 10))
        self.assertIn("nothing was removed", errors)

    def test_expired(self) -> None:
        """Who thought for too long is shown a new plan."""
        self.terminal, self.typed = True, "y\ny\n"
        expired = RefusedError({"code": "PLAN_EXPIRED", "detail": "it was made long ago"})
        self.daemon.answers["POST", "plans/run"] = [expired, {"job": "7"}]
        self.assertEqual(self.run_work(remove, "rm", "nginx")[0], 0)
        self.assertEqual(self.calls(), ["plans", "plans/run", "plans", "plans/run", "job"])

    def test_stays(self) -> None:
        """What stays is named, with the reason, and so is what goes along."""
        skipped = [{"name": NAME, "reference": "1", "why": "pinned"}]
        self.daemon.answer(MAKE_PLAN, plan_of(skipped=skipped, also_lost_tags=[f"{NAME}:x"]))
        open_one = [{"name": NAME, "reference": DIGEST, "why": "open"}]
        result = {"contents": 3, "freed_bytes": 0, "skipped": open_one, "skipped_more": 4}
        self.daemon.answer(GET_JOB, removed(result=result))
        _, out, _ = self.run_work(remove, "rm", "nginx", "--yes")
        for line in (
            f"stays: {NAME}:1 (pinned)",
            f"goes along: {NAME}:x",
            f"stays: {NAME}@{DIGEST} (open)",
            "stays: 4 more",
        ):
            self.assertIn(line, out.splitlines())

    def test_failed(self) -> None:
        """What is refused, and what fails, is told."""
        self.daemon.answer(GET_JOB, removed(state="failed", error="the disk is ill"))
        code, _, errors = self.run_work(remove, "rm", "nginx", "--yes")
        self.assertEqual((code, errors), (1, "the disk is ill\n"))
        self.daemon.answer(MAKE_PLAN, RefusedError({"detail": "all of it is pinned"}))
        code, _, errors = self.run_work(remove, "rm", "nginx", "--yes")
        self.assertEqual((code, errors), (1, "all of it is pinned\n"))

    def test_json(self) -> None:
        """The job at its end."""
        code, out, _ = self.run_work(remove, "rm", "nginx", "--yes", "--json")
        self.assertEqual((code, json.loads(out)["state"]), (0, "done"))


class TargetTests(RemovalCase):
    """What may be named."""

    def test_read(self) -> None:
        """Images, repositories, upstreams and patterns, as people write them."""
        for text, upstream, name, tag in (
            ("docker.io", "docker.io", "", ""),
            ("index.docker.io", "docker.io", "", ""),
            ("localhost:5000", "localhost:5000", "", ""),
            ("nginx:1.*", "", NAME, "1.*"),
            ("bitnami/*", "", "docker.io/bitnami/*", ""),
            ("quay.io/*", "", "quay.io/*", ""),
            ("*/old-?:x", "", "*/old-?", "x"),
            ("ngin*", "", "docker.io/library/ngin*", ""),
        ):
            found = NamedTarget(upstream=upstream, name_pattern=name, tag_pattern=tag)
            self.assertEqual(named_target(text), found, text)
        image = named_target("quay.io/org/app:v1").image
        self.assertEqual(str(image), "quay.io/org/app:v1")
        for wrong in ("A*", "nginx:*:*", "a//*", "nginx@*", f"nginx:1@{DIGEST}"):
            self.assertRaises(argparse.ArgumentTypeError, named_target, wrong)

    def test_upstream(self) -> None:
        """All of an upstream goes alone."""
        self.run_work(remove, "rm", "quay.io", "--dry-run")
        self.assertEqual(self.planned(), {"action": "delete", "upstream": "quay.io"})
        code, _, errors = self.run_work(remove, "rm", "quay.io", "nginx")
        self.assertEqual((code, errors), (2, "quay.io: an upstream has to be named alone\n"))

    def test_several(self) -> None:
        """A repository, a tag, a digest; each once."""
        self.run_work(remove, "rm", "nginx", f"nginx@{DIGEST}", "nginx:1", "nginx", "--dry-run")
        expected = [{"name": NAME}, {"name": NAME, "reference": DIGEST}]
        self.assertEqual(self.planned()["targets"], [*expected, {"name": NAME, "reference": "1"}])

    def test_patterns(self) -> None:
        """A pattern stands for what is in the cache, page by page."""
        other = "docker.io/library/redis"
        self.daemon.answers["GET", "repositories"] = [
            {"items": [{"name": NAME}], "next": "c", "counting": None},
            {"items": [{"name": other}, {"name": "quay.io/x/y"}], "next": None, "counting": None},
        ]
        rows = {"items": [{"tags": ["1.27", "1.29"]}, {"tags": ["2"]}], "next": None}
        self.daemon.answers["GET", "tags"] = rows
        self.run_work(remove, "rm", "nginx:1.*", "--dry-run")
        tags = [{"name": NAME, "reference": each} for each in ("1.27", "1.29")]
        self.assertEqual(self.planned()["targets"], tags)
        self.daemon.asked.clear()
        pages = self.daemon.answers["GET", "repositories"] = [
            {"items": [{"name": NAME}], "next": "c", "counting": None},
            {"items": [{"name": other}, {"name": "quay.io/x/y"}], "next": None, "counting": None},
        ]
        self.run_work(remove, "rm", "docker.io/*", "--dry-run")
        self.assertEqual(self.planned()["targets"], [{"name": NAME}, {"name": other}])
        self.assertEqual(len(pages), 1)
        code, _, errors = self.run_work(remove, "rm", "ghcr.io/*", "--yes")
        told = "nothing in the cache has a name like ghcr.io/*\n"
        self.assertEqual((code, errors), (1, told))
        code, _, errors = self.run_work(remove, "rm", "x*:1.*", "quay.io/z?", "--yes")
        told = "nothing in the cache has a name like docker.io/library/x*:1.*, quay.io/z?\n"
        self.assertEqual((code, errors), (1, told))

    def test_not_counted(self) -> None:
        """While repositories are being counted a pattern would miss some, so nothing is removed."""
        counting = {"counted": 40, "repositories": 1500}
        page = {"items": [{"name": NAME}], "next": None, "counting": counting}
        self.daemon.answers["GET", "repositories"] = page
        code, _, errors = self.run_work(remove, "rm", "docker.io/*", "--yes")
        self.assertEqual((code, self.calls()), (1, ["repositories"]))
        self.assertIn("being counted (40 of 1500)", errors)


class SweepTests(RemovalCase):
    """By age, by size, and everything."""

    def test_sweep(self) -> None:
        """What is wanted is what was said; nothing said is what the configuration says."""
        self.run_work(sweep, "sweep", "--dry-run")
        self.assertEqual(self.planned(), {"action": "sweep"})
        self.daemon.asked.clear()
        more = ("--unused-for", "14", "--to", "20GiB", "--upstream", "docker.io")
        self.run_work(sweep, "sweep", "--dry-run", *more)
        wanted = {"unused_for_days": 14, "to_bytes": 20 * 1024**3, "upstream": "docker.io"}
        self.assertEqual(self.planned(), {"action": "sweep", **wanted})

    def test_sizes(self) -> None:
        """A size is written as in the configuration, and what is wrong is told as there."""
        for text, size in (
            ("0", 0),
            ("120MB", 120_000_000),
            ("1.5 TiB", 3 * 2**39),
            ("1PB", 10**15),
            ("8PiB", 2**53),
        ):
            self.daemon.asked.clear()
            self.run_work(sweep, "sweep", "--to", text, "--dry-run")
            self.assertEqual(self.planned()["to_bytes"], size, text)
        for text, why in (
            ("20G", "20G has no whole unit: write 20GiB or 20GB"),
            ("120", "120: a size needs a unit"),
            ("80%", "80% is no size such as 512MiB"),
            ("", " is no size such as 512MiB"),
            ("8193TiB", "8193TiB: it must be at most 8PiB"),
        ):
            with mock.patch("sys.stderr", io.StringIO()) as errors:
                self.assertRaises(SystemExit, self.options, "sweep", "--to", text)
            self.assertIn(f"argument --to: {why}", errors.getvalue())

    def test_nothing(self) -> None:
        """Where nothing would go nobody is asked, and nothing is wrong."""
        nothing = plan_of(items=[], images=0, tags=0, freed_bytes=0)
        self.daemon.answer(MAKE_PLAN, nothing)
        for more in ((), ("--yes",), ("--dry-run",)):
            code, out, errors = self.run_work(sweep, "sweep", *more)
            self.assertEqual((code, out, errors), (0, "nothing is to be removed\n", ""))
        self.assertNotIn("plans/run", self.calls())

    def test_part(self) -> None:
        """An image that stays without a layer is told of, and counts for none that goes."""
        plan = plan_of(
            images=3, items=[ITEM, {**ITEM, "digest": "sha256:" + "9" * 64, "whole": False}]
        )
        self.daemon.answer(MAKE_PLAN, plan)
        _, out, _ = self.run_work(sweep, "sweep", "--to", "20GiB", "--dry-run")
        rows = [ROW, ROW.replace(":1.27,old", ":1.27,old (part)"), "and 2 more images"]
        sums = "3 images, 2 tags, and parts of 1 that stay: 2.0 MiB come free, 1.0 MiB stay"
        self.assertEqual(out.splitlines(), [*rows, sums])

    def test_no_image(self) -> None:
        """Blobs that belong to no image are shown by their size, and go."""
        self.daemon.answer(MAKE_PLAN, plan_of(items=[], images=0, tags=0))
        code, out, _ = self.run_work(purge, "purge", "--yes")
        self.assertEqual((code, self.calls()[:2]), (0, ["plans", "plans/run"]))
        self.assertIn("0 images, 0 tags: 2.0 MiB come free", out)

    def test_partials(self) -> None:
        """Where only parts of downloads are left, these are shown, and go."""
        left = {"partials": 2, "partial_bytes": 2 * MIB}
        self.daemon.answer(MAKE_PLAN, plan_of(items=[], images=0, tags=0, **left))
        code, out, _ = self.run_work(purge, "purge", "--yes")
        self.assertEqual((code, self.calls()[:2]), (0, ["plans", "plans/run"]))
        self.assertEqual(out.splitlines()[0], "2 unfinished downloads: 2.0 MiB")

    def test_purge(self) -> None:
        """Everything, or what an upstream has."""
        self.run_work(purge, "purge", "--yes")
        self.assertEqual(self.planned(), {"action": "purge"})
        self.daemon.asked.clear()
        self.run_work(purge, "purge", "--yes", "--upstream", "docker.io")
        self.assertEqual(self.planned(), {"action": "purge", "upstream": "docker.io"})
        self.assertEqual(self.run_work(purge, "purge")[0], 2)


class PinTests(CommandCase):
    """What stays."""

    def test_pin(self) -> None:
        """Several at once; what was pinned before is told."""
        self.daemon.answer(PIN, {"changed": 1})
        self.daemon.answer(GET_IMAGE, IMAGE | {"pinned": None})
        code, out, _ = self.run_work(pin, "pin", "nginx:1.29", "nginx")
        self.assertEqual((code, out), (0, "1 pinned; 1 was pinned before\n"))
        targets = [{"name": NAME, "reference": each} for each in ("1.29", "latest")]
        self.assertEqual(self.daemon.asked[0][2], {"targets": targets})

    def test_unpin(self) -> None:
        """Taken back."""
        self.daemon.answer(UNPIN, {"changed": 1})
        self.daemon.answer(GET_IMAGE, IMAGE | {"pinned": None})
        self.assertEqual(self.run_work(unpin, "unpin", "nginx")[1], "1 no longer pinned\n")
        code, out, _ = self.run_work(unpin, "unpin", "nginx", "--json")
        self.assertEqual((code, json.loads(out)), (0, {"changed": 1}))

    def test_not_here(self) -> None:
        """A pin of what is not in the cache may be a typing error, and is told as that."""
        self.daemon.answer(PIN, {"changed": 1})
        self.daemon.answer(GET_IMAGE, RefusedError({"code": "NOT_CACHED", "detail": "no"}))
        code, out, _ = self.run_work(pin, "pin", "nignx:1.29")
        note = "docker.io/library/nignx:1.29 is not in the cache: it is kept once it comes"
        self.assertEqual((code, out.splitlines()), (0, ["1 pinned", note]))
        self.daemon.answer(UNPIN, {"changed": 1})
        self.assertEqual(self.run_work(unpin, "unpin", "nignx:1.29")[1], "1 no longer pinned\n")

    def test_stays_pinned(self) -> None:
        """Who takes a pin back is told where something else keeps the image."""
        self.daemon.answer(UNPIN, {"changed": 0})
        for by, why in (("storage.pin", "storage.pin"), (None, "another pin of what it names")):
            self.daemon.answer(GET_IMAGE, IMAGE | {"pinned": {"by": by, "since": None}})
            code, out, _ = self.run_work(unpin, "unpin", "nginx:1.29")
            told = f"{NAME}:1.29 stays pinned, by {why}"
            expected = ["0 no longer pinned; 1 was not pinned by hand", told]
            self.assertEqual((code, out.splitlines()), (0, expected))

    def test_list(self) -> None:
        """Without a name, what is pinned."""
        row = {"name": NAME, "reference": "1.29", "digest": DIGEST, "own_bytes": 2 * MIB}
        row |= {"by": None, "since": "2026-11-26T08:00:00Z"}
        self.daemon.answer(GET_PINS, {"items": [row], "next": None, "total": None})
        code, out, _ = self.run_work(pin, "pin")
        self.assertEqual((code, out), (0, f"{NAME}:1.29\t2.0 MiB\t\t2026-11-26T08:00:00Z\n"))
        self.assertEqual(len(json.loads(self.run_work(pin, "pin", "--json")[1])["items"]), 1)
