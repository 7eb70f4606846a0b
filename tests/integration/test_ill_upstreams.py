"""Upstreams that are dead, slow, ill or talk nonsense: what clients get, and within what time."""

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.integration.base import UPSTREAM, PullThroughCase, certificates, upstream_config
from tests.support.downloads import Download
from tests.support.faults import Fault
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import MIB, Image, mixed_image
from tests.support.network_servers import TinyNameServer
from tests.support.processes import CHECKOUT, free_port, wait_until
from tests.support.registry_client import Answer, RegistryClient
from tests.support.servers import Regcache

REPOSITORY = "team/app"
REPOSITORIES = (REPOSITORY, "team/other")
ACCOUNT = ("operator", "s3cret-word")
#: A time-out that a test waits for, by its name (seconds).
LIMITS = {"deadline": 1, "connect_timeout": 2, "first_byte_timeout": 2, "stall_timeout": 2}
#: Every other one (seconds): what comes within it has waited for none, however busy the machine.
PATIENCE = 20
#: The shortest rest of a breaker, less some time to ask in (seconds).
REST = 4
#: How often that is tried which has to be over before a breaker's rest is.
TRIES = 20
#: Failures in a row that open a breaker.
FAILURES = 3
#: Requests at once, but for blobs.
PLACES = 32

CACHED, MOVED = (mixed_image(name, 1000) for name in ("cached", "moved"))
PORTAL = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 8\r\n\r\n<p>login"
CHALLENGE = {"WWW-Authenticate": 'Basic realm="r"'}
CREDENTIALS = {"username": ACCOUNT[0], "password": ACCOUNT[1], "serve_private": True}
#: What is asked for of what is not cached.
COLD = ("tag", "digest", "blob")
#: What is played of a row. ``known``: what is cached, once the upstream is known to be no use.
CELLS = ("cached", *COLD, "known")
TABLE = "| what goes wrong upstream | a tag that is cached | a tag that is not cached |"


def times(*awaited: str) -> dict[str, str]:
    """Time-outs of which only those that are awaited are short, and a ``tag_ttl``."""
    seconds = {key: LIMITS[key] if key in awaited else PATIENCE for key in LIMITS}
    return {**{key: f"{each}s" for key, each in seconds.items()}, "tag_ttl": "1s"}


@dataclass(frozen=True)
class Cell:
    """What a client gets: a Cache-Status or an error status.

    :ivar limit: the time-out within which it comes; "": it comes at once.
    """

    answer: str
    limit: str

    @property
    def awaited(self) -> str:
        """The time-out that has to be over before it comes, if there is one."""
        return "" if self.answer.endswith("stored") else self.limit

    @classmethod
    def parse(cls, text: str) -> "Cell":
        """From the words of the document."""
        answer, _, time_words = text.rpartition(", ")
        if time_words == "at once":
            return cls(answer.strip("`"), "")
        found = re.match(r"within `(\w+)`", time_words)
        assert found, f"no time limit in: {text}"
        return cls(answer.strip("`"), found[1])

    def faults(self, answer: Answer, seconds: float) -> Iterator[str]:
        """What is wrong with an answer."""
        told = answer.headers.get("cache-status", "")
        if self.answer[0].isdigit():
            statuses = [int(one) for one in re.findall(r"\b\d{3}\b", self.answer)]
            if answer.status not in statuses:
                yield f"{answer.status} {told!r} instead of {self.answer}: {answer.body[:150]!r}"
            retry = answer.headers.get("retry-after", "")
            if "Retry-After" in self.answer and not 1 <= int(retry or 0) <= 60:
                yield f"Retry-After is {retry!r}"
        else:
            pattern = re.escape(f"regcache; {self.answer}").replace(r"ttl=\-90", r"ttl=-\d+")
            pattern = pattern.replace("status=5xx", r"status=5\d\d")
            if answer.status != 200 or not re.fullmatch(pattern, told):
                yield f"{answer.status} {told!r} instead of {self.answer}: {answer.body[:150]!r}"
        if seconds >= PATIENCE:
            yield f"took {seconds:.2f} s: it did not come {self.limit or 'at once'}"


class NameServer(TinyNameServer):
    """Knows no name, and says nothing at all of names with ``silent`` in them."""

    def reply(self, query: bytes, transport: str) -> bytes:
        """An empty answer, or none."""
        return b"" if b"silent" in query else super().reply(query, transport)


class Nowhere:
    """What no faulty upstream can do: names and addresses that lead nowhere."""

    def __init__(self) -> None:
        self.names = NameServer()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        address = self._listener.getsockname()
        self.lost_packets = f"http://127.0.0.1:{address[1]}"
        # With its queue full the kernel drops whatever else wants to connect.
        self._queue = [socket.socket() for _ in range(4)]
        for one in self._queue:
            one.setblocking(False)
            one.connect_ex(address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = certificates().certificate
        context.load_cert_chain(pair.chain, pair.key)
        self._untrusted = FaultyUpstream(context)
        self.untrusted = self._untrusted.url
        self.refusing = f"http://127.0.0.1:{free_port()}"
        self.unknown_name = "http://registry.dead.example"
        self.unanswered_name = "http://registry.silent.example"

    def close(self) -> None:
        """Close everything."""
        self.names.close()
        self._untrusted.close()
        for one in [self._listener, *self._queue]:
            one.close()


@dataclass(frozen=True)
class Illness:
    """How a row of the table comes about.

    :ivar fault: of every request, or of those for ``paths``.
    :ivar moved: of GET of a manifest, after HEAD said that the tag names another one.
    :ivar url: leads to the trouble; None: a faulty upstream.
    :ivar prepare: what else is done to the faulty upstream.
    :ivar before: so many requests went before what the row shows.
    :ivar by_digest: the status of what is cached under digests.
    """

    fault: Fault | None = None
    paths: tuple[str, ...] = ("/v2/*",)
    moved: Fault | None = None
    url: Callable[[Nowhere], str] | None = None
    prepare: Callable[[FaultyUpstream], object] = lambda upstream: None
    settings: dict[str, Any] = field(default_factory=dict)
    before: int = 0
    by_digest: int = 200


def _unknown_account(upstream: FaultyUpstream) -> None:
    upstream.require_token()
    upstream.realm_knows_nobody = True


#: The tags that are asked for: the cached one, and the other.
TAGS = ("*/manifests/1", "*/manifests/cold")

#: By the first words of the rows of docs/operations.md.
ILLNESSES: dict[str, Illness] = {
    "its name cannot be resolved": Illness(url=lambda nowhere: nowhere.unknown_name),
    "it refuses connections": Illness(url=lambda nowhere: nowhere.refusing),
    "packets to it are lost": Illness(url=lambda nowhere: nowhere.lost_packets),
    "it accepts connections and never answers": Illness(Fault(silent=True)),
    "it answers after 5 s": Illness(Fault(first_byte_delay=5)),
    "it begins the manifest and does not end it": Illness(moved=Fault(stall_at=50)),
    "it answers 5xx": Illness(Fault(status=503)),
    "it failed three times in a row": Illness(Fault(status=500), before=FAILURES),
    "it answers 429": Illness(Fault(status=429, retry_after=60)),
    "it answered 429 a moment ago": Illness(Fault(status=429, retry_after=60), before=1),
    "it gives what is no manifest": Illness(Fault(raw=b"SSH-2.0-OpenSSH_9.2\r\n")),
    "it gives a manifest of more than 4 MiB, or of more than 4,096 descriptors": Illness(
        moved=Fault(body=b" " * (5 * MIB))
    ),
    "it gives a manifest that fails its digest": Illness(moved=Fault(wrong_byte_at=50)),
    "it has no such tag any more": Illness(Fault(status=404)),
    "it gives no access without credentials": Illness(Fault(status=401, headers=CHALLENGE)),
    "it refuses good credentials for this tag alone": Illness(
        Fault(status=403, authorised=True),
        paths=TAGS,
        prepare=lambda upstream: upstream.require_token(ACCOUNT),
        settings=CREDENTIALS,
    ),
    "it refuses good credentials for all": Illness(
        Fault(status=403, authorised=True),
        prepare=lambda upstream: upstream.require_token(ACCOUNT),
        settings=CREDENTIALS,
        by_digest=403,
    ),
    "its token realm refuses our credentials": Illness(
        prepare=_unknown_account, settings=CREDENTIALS
    ),
}
#: What the document has no row of its own for, in its words.
FURTHER: dict[str, tuple[Illness, str, str]] = {
    "its certificate is not trusted": (
        Illness(url=lambda nowhere: nowhere.untrusted),
        "`fwd=stale; detail=unreachable`, at once",
        "502, at once",
    ),
    "no name server answers": (
        Illness(url=lambda nowhere: nowhere.unanswered_name),
        "`fwd=stale; detail=deadline`, within `deadline`",
        "502 or 504, within `connect_timeout`",
    ),
    "it resets connections": (
        Illness(Fault(reset=True)),
        "`fwd=stale; detail=unreachable`, at once",
        "502, at once",
    ),
    "it drips its headers": (
        Illness(Fault(head_rate=10)),
        "`fwd=stale; detail=deadline`, within `deadline`",
        "504, within `first_byte_timeout`",
    ),
    "it gives the body of a manifest in drips": (
        Illness(moved=Fault(rate=20)),
        "`fwd=stale; detail=deadline`, within `deadline`",
        "504, within `stall_timeout`",
    ),
    "a login page stands before it": (
        Illness(Fault(raw=PORTAL)),
        "`fwd=stale; detail=invalid`, at once",
        "502, at once",
    ),
    "403": (Illness(Fault(status=403)), "403, at once", "403, at once"),
    "404 with on_missing: stale": (
        Illness(Fault(status=404), settings={"on_missing": "stale"}),
        "`fwd=stale; fwd-status=404`, at once",
        "404, at once",
    ),
    "403 with on_missing: stale": (
        Illness(Fault(status=403), settings={"on_missing": "stale"}),
        "`fwd=stale; fwd-status=403`, at once",
        "403, at once",
    ),
    "403 to good credentials with on_missing: stale": (
        Illness(
            Fault(status=403, authorised=True),
            prepare=lambda upstream: upstream.require_token(ACCOUNT),
            settings={**CREDENTIALS, "on_missing": "stale"},
            by_digest=403,
        ),
        "403, at once",
        "403, at once",
    ),
}


@dataclass(frozen=True)
class Row:
    """A row, with what its cells say."""

    words: str
    illness: Illness
    cached: Cell
    cold: Cell

    @property
    def name(self) -> str:
        """The words as a part of a host name."""
        return re.sub("[^a-z0-9]+", "-", self.words.lower())[:60].strip("-")

    def awaited(self, cell: str) -> tuple[str, ...]:
        """The time-outs that come to pass in a cell."""
        if cell == "known":
            return tuple(LIMITS)
        return ((self.cached if cell == "cached" else self.cold).awaited,)

    @property
    def is_found_out(self) -> bool:
        """Whether it keeps the upstream from being asked again: for a breaker, a Retry-After."""
        bad = self.cold.answer[:3] in ("429", "502", "503", "504")
        return bad and "invalid" not in self.cached.answer and not self.illness.moved

    @cached_property
    def images(self) -> dict[str, Image]:
        """An image for each cell alone: what anybody may read is shown through all."""
        return {cell: mixed_image(f"{self.words} {cell}", 1000) for cell in COLD}

    def content(self, cell: str) -> str:
        """What is asked for of it."""
        image = self.images[cell]
        by_digest = f"manifests/{image.digest}"
        blob = f"blobs/{image.blobs[0].digest}"
        return {"tag": "manifests/cold", "digest": by_digest, "blob": blob}[cell]


def documented() -> dict[str, tuple[str, str]]:
    """The rows of the table in docs/operations.md: words, and the two cells."""
    lines = (CHECKOUT / "docs" / "operations.md").read_text().splitlines()
    found = {}
    for line in lines[lines.index(TABLE) + 2 :]:
        if not line.startswith("|"):
            break
        words, cached, cold = (part.strip() for part in line.strip("|").split("|"))
        found[words] = (cached, cold)
    return found


def rows() -> list[Row]:
    """All rows, of the document and further ones."""
    listed = {words: (ILLNESSES[words], *cells) for words, cells in documented().items()}
    return [
        Row(words, illness, Cell.parse(cached), Cell.parse(cold))
        for words, (illness, cached, cold) in {**listed, **FURTHER}.items()
    ]


class TableTests(PullThroughCase):
    """Every cell, through one daemon that begins when all of its upstreams are ill already."""

    def test_no_row_is_forgotten(self) -> None:
        """The document has the rows that are played here, and no others."""
        self.assertEqual(sorted(documented()), sorted(ILLNESSES))

    def test_every_cell(self) -> None:
        """Ready without the network; every answer is right and comes within its time."""
        self.rows = rows()
        self.nowhere = Nowhere()
        self.addCleanup(self.nowhere.close)
        self.ill = {row.words: self.faulty_upstream() for row in self.rows}
        self.fill_a_cache()
        self.fall_ill()
        self.daemon.start()
        self.assertEqual(self.daemon.client().get("/readyz").status, 200)
        time.sleep(1)  # tag_ttl is over now
        slow = [(row, cell) for row in self.rows if row.cached.limit for cell in CELLS]
        quick = [(row, cell) for row in self.rows if not row.cached.limit for cell in CELLS]
        with ThreadPoolExecutor(len(slow)) as pool:
            waiting = pool.map(lambda given: self.play(*given), slow)
            wrong = [line for given in quick for line in self.play(*given)]
            wrong += [line for lines in waiting for line in lines]
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def fill_a_cache(self) -> None:
        """Pull an image through every entry while all is well, and stop.

        A second URL is well then. The first is there as well: an upstream that shares no URL with
        the one before is another registry, which has nothing cached.
        """
        well = self.faulty_upstream()
        well.add_image(REPOSITORY, CACHED, "1")
        self.daemon: Regcache = self.regcache(
            self.config(lambda row: {"urls": [well.url, self.url(row)]})
        )
        contents = ["manifests/1", *(f"blobs/{digest}" for digest in CACHED.all_blobs())]

        def pull(row: Row) -> None:
            for cell in ("cached", "known"):
                for content in contents:
                    answer = self.daemon.client().get(self.path(row, cell, content))
                    self.assertEqual(answer.status, 200)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(pull, self.rows))
        self.assertEqual(self.daemon.stop(), 0)

    def fall_ill(self) -> None:
        """Make an upstream for every row, and configure it."""
        for row in self.rows:
            upstream, illness = self.ill[row.words], row.illness
            for cell, image in row.images.items():
                upstream.add_image(REPOSITORY, image, *(["cold"] if cell == "tag" else []))
            upstream.add_image(REPOSITORY, MOVED if illness.moved else CACHED, "1")
            illness.prepare(upstream)
            if illness.fault is not None:
                for path in illness.paths:
                    upstream.faults.always(path, illness.fault)
            if illness.moved is not None:
                upstream.faults.always("*/manifests/*", illness.moved, method="GET")

        self.daemon.config.update(
            self.config(lambda row: {**row.illness.settings, "urls": [self.url(row)]})
        )

    def url(self, row: Row) -> str:
        """Of the upstream that is going to be ill."""
        illness = row.illness
        return illness.url(self.nowhere) if illness.url else self.ill[row.words].url

    def config(self, settings: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
        """An upstream entry for each cell, which so has a breaker of its own."""
        entries = {
            f"{row.name}.{cell}.test": {
                **times(*row.awaited(cell)),
                **settings(row),
            }
            for row in self.rows
            for cell in CELLS
        }
        return {"upstreams": entries, "dns": [self.nowhere.names.address]}

    def path(self, row: Row, cell: str, content: str, repository: str = REPOSITORY) -> str:
        """What a client asks for."""
        return f"/v2/{row.name}.{cell}.test/{repository}/{content}"

    def ask(
        self, row: Row, cell: str, content: str, repository: str = REPOSITORY
    ) -> tuple[Answer, float]:
        """An answer, and how long it took."""
        started = time.monotonic()
        try:
            answer = self.daemon.client().get(self.path(row, cell, content, repository))
        except (OSError, http.client.HTTPException) as error:
            answer = Answer(0, {}, repr(error).encode())
        return answer, time.monotonic() - started

    def play(self, row: Row, cell: str) -> list[str]:
        """What is wrong with the answers of a cell."""
        if cell == "known":
            wrong = self.known(row) if row.is_found_out else []
        else:
            wrong = list(self.cached(row) if cell == "cached" else self.cold(row, cell))
        return [f"{row.words}, {cell}: {line}" for line in wrong]

    def cached(self, row: Row) -> Iterator[str]:
        """What is cached: by tag, and then under digests."""
        answer, seconds = self.ask_after_others(row, "cached", "manifests/1")
        for line in row.cached.faults(answer, seconds):
            yield f"cached tag: {line}"
        if answer.status == 200 and answer.body != CACHED.data:
            yield "cached tag: other bytes"
        revalidated = "revalidated" in row.cached.answer
        if answer.status == 200 and (int(answer.headers["age"]) < 1) != revalidated:
            yield f"cached tag: Age {answer.headers['age']}"
        for content in (
            f"manifests/{CACHED.digest}",
            *(f"blobs/{digest}" for digest in CACHED.all_blobs()),
        ):
            answer, _ = self.ask(row, "cached", content)
            told = answer.headers.get("cache-status")
            if answer.status != row.illness.by_digest:
                yield f"cached {content[:16]}: {answer.status} {answer.body[:150]!r}"
            if answer.status == 200 and told != "regcache; hit":
                yield f"cached {content[:16]}: {told!r}"

    def cold(self, row: Row, cell: str) -> Iterator[str]:
        """What is not cached: a tag, a digest, a blob."""
        if cell == "blob" and row.illness.moved:
            return  # an illness of manifests
        if cell != "tag" and row.illness.paths == TAGS:
            return  # an illness of tags
        content = row.content(cell)
        answer, seconds = self.ask_after_others(row, cell, content)
        yield from row.cold.faults(answer, seconds)
        named = f"{row.name}.{cell}.test".encode()
        if answer.status >= 502 and (answer.errors != ["UNAVAILABLE"] or named not in answer.body):
            yield f"{answer.body[:150]!r}"

    def ask_after_others(self, row: Row, cell: str, content: str) -> tuple[Answer, float]:
        """An answer behind those that went before, which are not over when it comes."""
        for _ in range(TRIES):
            started = time.monotonic()
            for number in range(row.illness.before):
                self.ask(row, cell, content, f"team/other-{number}")
            found = self.ask(row, cell, content)
            if not row.illness.before or time.monotonic() - started < REST:
                break
        return found

    def known(self, row: Row) -> list[str]:
        """Once an upstream is known to be no use nobody is asked; what is wrong with that."""
        for _ in range(TRIES):
            self.find_out(row)
            started = time.monotonic()
            wrong = list(self.not_asked(row))
            if time.monotonic() - started < REST:
                break
        return wrong

    def find_out(self, row: Row) -> None:
        """Ask until the upstream is known to be no use: one repository alone tells little."""

        def known() -> bool:
            self.ask(row, "known", "manifests/1", "team/other")
            told = self.ask(row, "known", "manifests/1")[0].headers.get("cache-status", "")
            return told.endswith("detail=stale")

        wait_until(known, f"no more is asked: {row.words}")

    def not_asked(self, row: Row) -> Iterator[str]:
        """What is wrong with answers for which nobody is asked."""
        limited = row.cold.answer.startswith("429")
        asked = self.requests(row)
        stale = Cell("hit; ttl=-90; detail=stale", "")
        for _ in range(5):
            yield from stale.faults(*self.ask(row, "known", "manifests/1"))
        cold = Cell(f"{'429' if limited else '503'} with `Retry-After`", "")
        for line in cold.faults(*self.ask(row, "known", "manifests/cold")):
            yield f"cold: {line}"
        if self.requests(row) != asked:
            yield "the upstream was asked all the same"

    def requests(self, row: Row) -> float:
        """How many requests were sent to the upstream that is known to be no use."""
        name = f"{row.name}.known.test"
        return self.daemon.metric("regcache_upstream_requests_total", upstream=name)


class BreakerTests(PullThroughCase):
    """Many at once, and the way back."""

    def test_a_hundred_cold_requests_do_not_queue(self) -> None:
        """A hundred tags of a black hole: those that were sent time out, and end them all.

        But for the two that are sent between the first time-out and the third.
        """
        upstream = self.faulty_upstream()
        upstream.faults.always("*", Fault(silent=True))
        daemon = self.regcache(upstream_config(upstream.url, **times("first_byte_timeout")))
        targets = [f"/v2/{REPOSITORY}/manifests/tag-{k}" for k in range(100)]
        asking = [Download(daemon.client(), target) for target in targets]
        for one in asking:
            one.wait()
        self.assertEqual({one.status for one in asking} - {503, 504}, set())
        self.assertLessEqual(len(upstream.requests), PLACES + FAILURES - 1)
        # What its rest lets out in between is one probe.
        wait_until(lambda: daemon.client().get(targets[0]).status == 503, "it is not asked")
        answer = daemon.client().get(targets[0])
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)

    def test_one_probe_at_a_time_and_then_all_is_well(self) -> None:
        """After its rest an upstream is asked by one request; its answer opens the way for all."""
        upstream = self.faulty_upstream()
        for repository in REPOSITORIES:
            upstream.add_image(repository, CACHED, *(f"tag-{number}" for number in range(20)))
        upstream.faults.always("*", Fault(status=503))
        daemon = self.regcache(upstream_config(upstream.url, **times()))
        client = daemon.client()
        for tag in range(FAILURES):
            self.assertEqual(client.get(self.tag(tag)).status, 502)
        self.assertEqual(client.get(self.tag(3)).status, 503)
        self.assertEqual(len(upstream.requests), FAILURES)
        self.assertEqual(daemon.metric("regcache_upstream_up", upstream=UPSTREAM), 0)
        self.assert_logged(daemon, "circuit open")
        upstream.faults.clear()
        probe = Fault(held=True)
        upstream.faults.always("*", probe)
        wait_until(lambda: self.probe(client, upstream, probe), "a probe")
        self.assertEqual(len(upstream.requests), FAILURES + 1, "probes at the same time")
        wait_until(
            lambda: daemon.metric("regcache_upstream_up", upstream=UPSTREAM) == 1, "it is up"
        )
        upstream.faults.clear()
        self.assertEqual(client.get(self.tag(15)).status, 200)

    def probe(self, client: RegistryClient, upstream: FaultyUpstream, probe: Fault) -> bool:
        """Ask for ten things at once; whether one of them went out, and was answered."""
        asking = [Download(client, self.tag(tag)) for tag in range(4, 14)]

        def sent() -> bool:
            return len(upstream.requests) > FAILURES

        def ended() -> int:
            return sum(not one.is_alive() for one in asking)

        wait_until(lambda: ended() == 10 or (ended() == 9 and sent()), "nine are refused")
        if sent():
            probe.release.set()
        for one in asking:
            one.wait()
        statuses = sorted(one.status for one in asking)
        self.assertEqual(statuses, [200] + [503] * 9 if sent() else [503] * 10)
        return sent()

    def tag(self, number: int) -> str:
        """The path of one of many tags, in turns of two repositories."""
        return f"/v2/{REPOSITORIES[number % 2]}/manifests/tag-{number}"

    def test_one_path_that_is_ill(self) -> None:
        """It answers 500 for ever, and nobody else is the worse for it."""
        upstream = self.faulty_upstream()
        for repository in REPOSITORIES:
            upstream.add_image(repository, CACHED, "1")
        upstream.faults.always(f"/v2/{REPOSITORY}/*", Fault(status=500))
        client = self.regcache(upstream_config(upstream.url, **times())).client()
        ill, well = (f"/v2/{repository}/manifests/1" for repository in REPOSITORIES)
        self.assertEqual(
            [client.get(ill).status for _ in range(2 * FAILURES)], [502] * 2 * FAILURES
        )
        self.assertEqual(client.get(well).body, CACHED.data)

    def test_bodies_that_stall(self) -> None:
        """Heads come, and bodies do not: before long it is not asked any more."""
        upstream = self.faulty_upstream()
        tags = [f"tag-{number}" for number in range(FAILURES)]
        for repository in REPOSITORIES:
            upstream.add_image(repository, CACHED, *tags)
        upstream.faults.always("*", Fault(stall_at=20))
        daemon = self.regcache(upstream_config(upstream.url, **times("stall_timeout")))
        client = daemon.client()
        for number in range(FAILURES):
            self.assertEqual(client.get(self.tag(number)).status, 504)
        # A busy machine may let its first rest pass; each further one is twice as long.
        wait_until(lambda: client.get(self.tag(0)).status == 503, "it is not asked")
        self.assertEqual(daemon.metric("regcache_upstream_up", upstream=UPSTREAM), 0)

    def test_dead_redirect_target(self) -> None:
        """It rests by itself: the registry that leads there is asked as before, and is up."""
        upstream = self.faulty_upstream()
        for repository in REPOSITORIES:
            upstream.add_image(repository, CACHED, "1")
        dead = f"http://127.0.0.1:{free_port()}/storage"
        upstream.faults.always("*/blobs/*", Fault(redirect=dead), method="GET")
        daemon = self.regcache(upstream_config(upstream.url, **times()))
        client = daemon.client()
        blob = f"/v2/{REPOSITORY}/blobs/{CACHED.blobs[0].digest}"
        wait_until(lambda: client.get(blob).status == 503, "the storage is not asked")
        self.assertGreaterEqual(int(client.get(blob).headers["retry-after"]), 1)
        self.assertEqual(client.get(f"/v2/{REPOSITORY}/manifests/1").status, 200)
        self.assertEqual(daemon.metric("regcache_upstream_up", upstream=UPSTREAM), 1)


class SeveralUrlsTests(PullThroughCase):
    """The next URL is asked for manifests and for blobs alike."""

    def test_the_next_url_on_every_illness(self) -> None:
        """5xx, 429, a reset, a black hole: the second URL answers; 404 and 403 are answers."""
        well = self.faulty_upstream()
        faults = {
            "500": Fault(status=500),
            "429": Fault(status=429, retry_after=60),
            "reset": Fault(reset=True),
            "silent": Fault(silent=True),
            "404": Fault(status=404),
            "403": Fault(status=403),
        }
        first = {name: self.faulty_upstream() for name in faults}
        for name, fault in faults.items():
            first[name].faults.always("*", fault)
        entries = {
            f"first-{name}.test": {"first_byte_timeout": "5s", "urls": [one.url, well.url]}
            for name, one in first.items()
        }
        daemon = self.regcache({"upstreams": entries})

        def pull(name: str) -> None:
            image = mixed_image(f"next {name}", 1000)  # anybody's bytes are shown through all
            well.add_image(REPOSITORY, image, name)
            blob = image.blobs[0]
            for path, body in (
                (f"manifests/{name}", image.data),
                (f"blobs/{blob.digest}", blob.data),
            ):
                answer = daemon.client().get(f"/v2/first-{name}.test/{REPOSITORY}/{path}")
                expected = int(name) if name in ("404", "403") else 200
                self.assertEqual(answer.status, expected, f"{name} {path} {answer.body!r}")
                if expected == 200:
                    self.assertEqual(answer.body, body)

        with ThreadPoolExecutor(len(faults)) as pool:
            list(pool.map(pull, faults))
        # While Retry-After runs the first is not asked again for what it limited.
        asked = [len(first["429"].asked(kind)) for kind in ("manifests", "blobs")]
        self.assertEqual(asked, [1, 1])


class BodyTests(PullThroughCase):
    """Manifests whose bodies are not what they should be."""

    def test_bodies_that_drip_or_lie(self) -> None:
        """A drip is 504 within its time; wrong bytes, lengths and types are 502, never kept."""
        upstream = self.faulty_upstream()
        cases: dict[str, tuple[Fault, int]] = {
            "drip": (Fault(rate=20), 504),
            "cut": (Fault(cut_at=20), 502),
            "wrong": (Fault(wrong_byte_at=30), 502),
            "huge": (Fault(body=b" " * (5 * MIB)), 502),
            "endless": (Fault(body=b" " * (5 * MIB), framing="chunked"), 502),
            "packed": (Fault(headers={"Content-Encoding": "gzip"}), 502),
        }
        entries = {
            f"{name}.test": {**times("stall_timeout"), "urls": [upstream.url]} for name in cases
        }
        daemon = self.regcache({"upstreams": entries})
        for name, (fault, status) in cases.items():
            image = mixed_image(f"body {name}", 1000)
            upstream.add_image(REPOSITORY, image, "1")
            path = f"{REPOSITORY}/manifests/{image.digest}"
            upstream.faults.then(f"/v2/{path}", fault)
            started = time.monotonic()
            answer = daemon.client().get(f"/v2/{name}.test/{path}")
            self.assertEqual(answer.status, status, f"{name}: {answer.body!r}")
            self.assertLess(time.monotonic() - started, PATIENCE, name)
            again = daemon.client().get(f"/v2/{name}.test/{path}")
            self.assertEqual((again.status, again.body), (200, image.data), name)


class NoHeadTests(PullThroughCase):
    """An upstream that takes no HEAD."""

    def test_it_is_asked_with_get(self) -> None:
        """HEAD of what is not cached is answered, and a tag that moves is seen to move."""
        for status in (405, 501):
            upstream = self.faulty_upstream()
            upstream.faults.always("*", Fault(status=status), method="HEAD")
            upstream.add_image(REPOSITORY, CACHED, "1")
            client = self.regcache(upstream_config(upstream.url, **times())).client()
            path = f"/v2/{REPOSITORY}/manifests/1"
            head = client.head(path)
            told = (head.status, head.headers.get("docker-content-digest"))
            self.assertEqual(told, (200, CACHED.digest))
            self.assertEqual(client.get(path).body, CACHED.data)
            upstream.add_image(REPOSITORY, MOVED, "1")
            self.until_it_moves(client, path)
            blob = CACHED.blobs[0]
            self.assertEqual(client.head(f"/v2/{REPOSITORY}/blobs/{blob.digest}").status, 200)

    def test_nothing_is_asked_twice(self) -> None:
        """The body that comes for a head is the one that is stored and served."""
        upstream = self.faulty_upstream()
        upstream.faults.always("*", Fault(status=405), method="HEAD")
        upstream.add_image(REPOSITORY, CACHED, "1")
        client = self.regcache(upstream_config(upstream.url, **times())).client()
        path, by_digest = f"/v2/{REPOSITORY}/manifests/1", f"/v2/{REPOSITORY}/manifests/"
        self.assertEqual(client.head(path).headers["content-length"], str(len(CACHED.data)))
        self.assertEqual(client.get(by_digest + CACHED.digest).body, CACHED.data)
        self.assertEqual([one.method for one in upstream.requests], ["HEAD", "GET"])
        for image, told in ((CACHED, "hit; detail=revalidated"), (MOVED, "fwd=uri-miss; stored")):
            upstream.add_image(REPOSITORY, image, "1")
            time.sleep(1.1)  # tag_ttl
            asked = len(upstream.requests)
            answer = client.get(path)
            self.assertEqual(
                (answer.body, answer.headers["docker-content-digest"]), (image.data, image.digest)
            )
            self.assertEqual(answer.headers["cache-status"], f"regcache; {told}")
            self.assertEqual(client.get(by_digest + image.digest).body, image.data)
            self.assertEqual([one.method for one in upstream.requests[asked:]], ["GET"])

    def until_it_moves(self, client: RegistryClient, path: str) -> None:
        """Ask until the tag names the other image."""
        wait_until(lambda: client.get(path).body == MOVED.data, "the tag moves")


class LastAnswerTests(PullThroughCase):
    """Answers behind which an upstream takes nothing more on the same connection."""

    def setUp(self) -> None:
        """A daemon in front of one."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.client = self.regcache(upstream_config(self.upstream.url, **times())).client()

    def connections(self, option: str) -> int:
        """Of two requests one behind the other, whose answers have such a field Connection."""
        asked = len(self.upstream.requests)
        for number in range(2):
            blob = self.upstream.add_blob(REPOSITORY, f"{option} {number}".encode())
            path = f"/v2/{REPOSITORY}/blobs/{blob}"
            self.upstream.faults.then(path, Fault(headers={"Connection": option}))
            self.assertEqual(self.client.get(path).status, 200)
        return len({one.port for one in self.upstream.requests[asked:]})

    def test_close_in_any_letters(self) -> None:
        """The next request has a connection of its own, however the upstream writes it."""
        self.assertEqual(self.connections("keep-alive"), 1)
        for option in ("close", "Close", "CLOSE", "Keep-Alive, Close"):
            self.assertEqual(self.connections(option), 2, option)
