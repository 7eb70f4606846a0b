"""What is to be copied from the documents is right, and what they lead to is there."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from regcache.admin.notifications.conditions import Message
from regcache.admin.notifications.notifier import content_of
from regcache.client_setup.guide import TOOLS, guide_for
from regcache.client_setup.located import locate_registries
from regcache.client_setup.served import ListeningPlace, ServedHere, ServedRegistry
from regcache.client_setup.steps import MARK, SetUp
from regcache.config.loading import load
from regcache.config.notify_settings import EVENTS
from regcache.config.seats_file import parse_seats
from tests.client_setup.cases import files
from tests.client_setup.test_document import SERVED as SERVED_WITH_TLS
from tests.support.certificates import Authority
from tests.support.documents import (
    DOCUMENTS,
    GUIDES,
    READMES,
    Block,
    all_blocks,
    blocks_of,
    lines_without_comments,
    text_of,
    without_blocks,
)
from tests.support.processes import CHECKOUT, Workspace, require, run

#: Documents that have at least one configuration.
CONFIGURING = (*READMES, *(f"docs/{name}.md" for name in ("access", "clients", "configuration")))
SERVED = ServedHere(
    [ListeningPlace("http", 5000, names=("127.0.0.1",))],
    [ServedRegistry("docker.io", server="https://registry-1.docker.io")],
    default_upstream="docker.io",
)
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
_FOLDER = "/etc/regcache/"
_DEMO = re.compile(
    r"  (?:MISS|HIT ) {2}(.{26}) +([\d,]+) bytes +[\d.]+ ms|        in all +([\d,]+) .*"
)


def anchors(name: str) -> set[str]:
    """What a link may name behind "#"."""
    heads = re.findall("^#+ (.*)$", without_blocks(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def made_for_clients(served: ServedHere) -> set[str]:
    """All files that client-config makes."""
    made: dict[str, str] = {}
    for tool in TOOLS:
        made |= files(guide_for(tool, SetUp(locate_registries(served))))
    return {text.removeprefix(f"{MARK}\n").lstrip("\n") for text in made.values()}


class FileTests(SynchronousTestCase):
    """Files to be copied, each read by what it is for."""

    def setUp(self) -> None:
        workspace = Workspace()
        self.addCleanup(workspace.remove)
        self.folder = workspace.path
        self.clients = made_for_clients(SERVED) | made_for_clients(SERVED_WITH_TLS)

    def _etc(self) -> Path:
        """A folder with all files that the configurations name."""
        authority = Authority(self.folder)
        made = authority.issue("example.com")
        for name in ("htpasswd", "seats.yml"):
            (self.folder / name).write_text("")
        (self.folder / "hub.password").write_text("secret\n")
        (self.folder / "tls").mkdir()
        chain, key = made.chain.read_bytes(), made.key.read_bytes()
        for name in ("tls/fullchain.pem", "tls/fullchain.cer", "token-keys.pem"):
            (self.folder / name).write_bytes(chain)
        for name in ("tls/clients.pem", "internal-ca.pem"):
            (self.folder / name).write_bytes(authority.file.read_bytes())
        for name in ("key.pem", "example.com.key"):
            (self.folder / "tls" / name).write_bytes(key)
        return self.folder

    def test_yaml(self) -> None:
        """Each is a configuration that is taken, or is taken by what else it is for."""
        etc, configurations = self._etc(), set()
        for block in all_blocks("yaml"):
            content = yaml.safe_load(block.text)
            if block.text in self.clients:
                continue
            if "scrape_configs" in content:
                self.assert_prometheus(block)
            elif "machine" in content:
                self.assert_talos(content)
            elif "*" in content:
                self.assert_seats(block)
            else:
                self.assert_configuration(etc, block)
                configurations.add(block.document)
        self.assertEqual(configurations, {*CONFIGURING, "docs/install.md"})

    def assert_configuration(self, etc: Path, block: Block) -> None:
        """It is one of regcache."""
        file = etc / "regcache.yml"
        text = block.text.replace(_FOLDER, f"{etc}/").replace("/var/lib/regcache/", f"{etc}/")
        file.write_text(text, encoding="utf-8")
        load(str(file), {"HUB_PASSWORD": "secret"})

    def assert_seats(self, block: Block) -> None:
        """It is a file of seats, with hashes in the place of dots."""
        text = block.text.replace("sha256:…", f"sha256:{64 * 'a'}").replace("$…", f"${53 * 'a'}")
        self.assertIn("alice", parse_seats(text, "seats.yml"))

    def assert_prometheus(self, block: Block) -> None:
        """promtool takes it, with the rules that are shipped."""
        require("promtool")
        rules = CHECKOUT / "etc" / "prometheus" / "alerts.yml"
        file = self.folder / "prometheus.yml"
        file.write_text(block.text.replace("/etc/prometheus/alerts.yml", str(rules)))
        run(["promtool", "check", "config", str(file)])

    def assert_talos(self, content: dict[str, Any]) -> None:
        """The mirrors are those of k3s, which are made by client-config."""
        mirrors = content["machine"]["registries"]["mirrors"]
        k3s = guide_for("k3s", SetUp(locate_registries(SERVED_WITH_TLS)))
        made = [yaml.safe_load(text) for text in files(k3s).values()]
        given = [
            {name: {"endpoints": each["endpoint"]} for name, each in one["mirrors"].items()}
            for one in made
        ]
        self.assertIn(mirrors, given)

    def test_json(self) -> None:
        """Each is made by client-config, or is what notify.url is told."""
        message = Message(EVENTS[0], "", "begun", text="text", time=0.0)
        for block in all_blocks("json"):
            content = json.loads(block.text)
            if block.text not in self.clients:
                self.assertEqual(list(content), list(content_of(message)), block.text)
                self.assertIn(content["event"], EVENTS)

    def test_toml(self) -> None:
        """Each is made by client-config."""
        for block in all_blocks("toml"):
            tomllib.loads(block.text)
            self.assertIn(block.text, self.clients)

    def test_proxies(self) -> None:
        """What is for HAProxy and nginx is in a file of etc/proxy, which is tried."""
        shipped = [
            lines_without_comments(path.read_text(encoding="utf-8"))
            for path in (CHECKOUT / "etc" / "proxy").iterdir()
        ]
        found = all_blocks("haproxy", "nginx")
        self.assertGreaterEqual(len(found), 4)
        for block in found:
            lines = lines_without_comments(block.text)
            self.assertTrue(any(_holds(each, lines) for each in shipped), block.text)

    def test_proxied(self) -> None:
        """So are the configurations that belong to them."""
        shown = [lines_without_comments(each.text) for each in all_blocks("yaml")]
        for path in (CHECKOUT / "etc" / "proxy").glob("*.yml"):
            self.assertIn(lines_without_comments(path.read_text(encoding="utf-8")), shown, path)

    def test_overrides(self) -> None:
        """Each override of the unit changes what the unit has, and runs the same programs."""
        unit = text_of("etc/systemd/regcache.service")
        for block in all_blocks("ini"):
            override = configparser.RawConfigParser(strict=False)
            override.read_string(block.text)
            self.assertEqual(override.sections(), ["Service"])
            for line in block.text.splitlines()[1:]:
                key, _, value = line.partition("=")
                if key == "ReadWritePaths":
                    continue
                self.assertIn(f"\n{key}=", unit)
                there = value.replace("/opt/regcache/bin/twistd", "/usr/bin/twistd3")
                there = there.replace("/opt/regcache/bin/", "/usr/bin/")
                self.assertIn(f"\n{key}={there}\n" if value else f"\n{key}=", unit)

    def test_texts(self) -> None:
        """Each is what the demonstration prints, or what the daemon logs."""
        known: list[Callable[[str], bool]] = [self.is_of_demonstration, self.is_of_log]
        for block in all_blocks("text"):
            self.assertTrue(any(each(block.text) for each in known), block.text)

    def is_of_demonstration(self, text: str) -> bool:
        """Its lines are printed by tools/demo.py, and its sums are right."""
        demo = text_of("tools/demo.py")
        if not text.startswith("first pull\n"):
            return False
        for part in text.split("\n\n"):
            title, *rows = part.strip().splitlines()
            self.assertIn(title.partition(":")[0], demo)
            found = [match for match in map(_DEMO.fullmatch, rows) if match]
            self.assertEqual(len(found), len(rows), part)
            sizes = [int((each[2] or each[3]).replace(",", "")) for each in found]
            self.assertEqual(sum(sizes[:-1]), sum(sizes[-1:]), part)
        return True

    def is_of_log(self, text: str) -> bool:
        """The daemon has such a line."""
        begins, _, _ = text.partition(": ")
        sources = (CHECKOUT / "regcache").rglob("*.py")
        return any(begins in path.read_text(encoding="utf-8") for path in sources)


def _holds(lines: list[str], part: list[str]) -> bool:
    """Whether lines follow each other in a file."""
    size = len(part)
    return any(lines[start : start + size] == part for start in range(len(lines)))


class DocumentTests(SynchronousTestCase):
    """What documents lead to, and what they have in common."""

    def test_targets(self) -> None:
        """Each target of make that a text names is there."""
        targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
        for name in DOCUMENTS:
            named = re.findall(r"`make ([a-z][\w-]*)", text_of(name))
            self.assertLessEqual(set(named), targets, name)

    def test_links(self) -> None:
        """Each link within the checkout leads to a file that is there, and to a head in it."""
        for name in DOCUMENTS:
            for pair in _LINK.findall(text_of(name)):
                link = pair[0] or pair[1]
                if link.startswith("http"):
                    continue
                path, _, anchor = link.partition("#")
                target = (CHECKOUT / name).parent / path if path else CHECKOUT / name
                self.assertTrue(target.exists(), (name, link))
                if anchor:
                    inner = str(target.resolve().relative_to(CHECKOUT.resolve()))
                    self.assertIn(anchor, anchors(inner), name)

    def test_files_of_the_checkout(self) -> None:
        """Each file of etc/ and debian/ that is named is there."""
        for name in DOCUMENTS:
            for path in re.findall(r"(?<![\w/.])((?:etc|debian)/[\w./-]*\w)", text_of(name)):
                self.assertTrue((CHECKOUT / path).exists(), (name, path))

    def test_heads(self) -> None:
        """No document has two heads of one name, and no level is left out."""
        for name in GUIDES:
            found = re.findall("^(#+) (.*)$", without_blocks(name), re.MULTILINE)
            for (before, _), (mark, head) in pairwise(found):
                self.assertLessEqual(len(mark), len(before) + 1, (name, head))

    def test_the_same_in_both_languages(self) -> None:
        """Both READMEs have the same blocks, in the same order, but for comments."""
        first, second = (
            [
                (each.language, re.sub(r"(?m)\s*#.*$", "", each.text).strip())
                for each in blocks_of(name)
            ]
            for name in READMES
        )
        self.assertEqual(first, second)
