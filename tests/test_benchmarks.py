"""The parts of the benchmarks that measure nothing: reading, comparing, drawing."""

import json
import os
import sys
from contextlib import closing
from io import StringIO
from math import inf
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.__main__ import parse
from benchmarks.call_counter import CallCounter
from benchmarks.chart import draw, goodness
from benchmarks.content import FULL, QUICK, Content, Sizes, blob_path, manifest_path
from benchmarks.figures import DIRECT, Figures
from benchmarks.gaps import Gaps, parse_gaps
from benchmarks.index_maker import make_index
from benchmarks.load import Fetched, LoadFailedError, Requests, read_h2load
from benchmarks.peers import OtherRegcache, compile_checkout
from benchmarks.processes import ServerFailedError
from benchmarks.profiling import summary
from benchmarks.report import Report, number, shortfall, table
from benchmarks.runner import has_long_sample, taking_part
from benchmarks.sockets import parse_queued
from benchmarks.targets import TARGETS, Comparison, Target, missed
from benchmarks.timings import TOTAL, Timings
from benchmarks.walk import Walk, report, walk_of, ways
from benchmarks.watchdog import describe
from benchmarks.workloads import WORKLOADS
from regcache.digests import Digest
from regcache.facts import in_blocks
from regcache.identity import UpstreamIdentity
from regcache.retention import FIRST
from regcache.store.index_contents import occupied_bytes
from regcache.store.index_eviction import candidates
from regcache.store.index_names import list_repositories
from regcache.store.index_opening import connect
from regcache.store.index_schema import check

WRK = """Running 1s test @ http://127.0.0.1:1/v2/
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.30ms    2.00ms  24.00ms   90.00%
  Latency Distribution
     50%    5.26ms
     75%    6.00ms
     90%  900.00us
     99%    1.60s{space}
  11000 requests in 1.00s, 5.00MB read
Requests/sec:  10999.50
Transfer/sec:      5.00MB
""".format(space=" ")
SINK = (
    '{"seconds": 2.0, "bytes": 4000000, "done": 1, "failed": %d, "refused": %d,'
    ' "first_byte_ms": {"p50": 1.5}, "total_ms": {"p50": 2000.0}}'
)


class WalkTests(SynchronousTestCase):
    """Calls of Python, counted."""

    def test_counted(self) -> None:
        """What is called from one turn to the next is counted by file, and only that."""
        counter, before = CallCounter(self.mktemp()), sys.getprofile()
        path = counter._path
        json.dumps({})
        try:
            counter.turn()
            for _ in range(3):
                json.loads("1")
            counter.turn()
        finally:
            sys.setprofile(before)
        json.loads("1")
        with open(path, encoding="ascii") as file:
            counts = json.load(file)
        self.assertEqual(counts[json.__file__], 3)

    def test_walk(self) -> None:
        """What is called anyway is no part of it, and ours is what is in our package."""
        calls = {"/x/regcache/a.py": 30, "/x/regcache/b.py": 5, "/lib/c.py": 10}
        found = walk_of(calls, {"/x/regcache/b.py": 5, "/lib/c.py": 2}, 4)
        self.assertEqual(found, Walk(9.5, 7.5, 1))
        text = report({"before": {"cold": found}, "now": {"cold": Walk(1000.4, 10, 2)}})
        self.assertEqual(text.splitlines()[2], "| cold | 10 · 8 · 1 | 1,000 · 10 · 2 |")

    def test_ways(self) -> None:
        """What is counted as a miss is asked for once, and was not before."""
        content = Content(Path(self.mktemp()), QUICK)
        content.layers = ["sha256:a"]
        content.tiny = [f"sha256:{number}" for number in range(QUICK.tiny)]
        misses = [
            target for way in ways(content) if "hit" not in way.name for target in way.targets
        ]
        self.assertEqual(len(misses) - 1, len(set(misses)), "the layer, cold and warm")
        self.assertEqual([way.units for way in ways(content)], [16, 16, 1, 100, 1000, 1000])


class FiguresTests(SynchronousTestCase):
    """Samples and medians."""

    def test_median(self) -> None:
        """The median of the rounds counts, in any order of them."""
        figures = Figures()
        for value in (9.0, 1.0, 2.0):
            figures.add("cold", "R", {"mb_s": value})
        self.assertEqual(figures.median("cold", "R", "mb_s"), 2.0)
        self.assertEqual(figures.medians(), {"cold": {"R": {"mb_s": 2.0}}})
        self.assertEqual(figures.samples["cold"]["R"]["mb_s"], [9.0, 1.0, 2.0])

    def test_not_measured(self) -> None:
        """What nobody measured has no median."""
        self.assertIsNone(Figures().median("cold", "R", "mb_s"))


class TargetTests(SynchronousTestCase):
    """Comparisons with bounds."""

    def setUp(self) -> None:
        self.figures = Figures()
        self.figures.add("work", "R", {"mb_s": 30.0, "ms": 28.0})
        self.figures.add("work", "D", {"mb_s": 20.0})
        self.figures.add("work", DIRECT, {"ms": 20.0})

    def test_ratio(self) -> None:
        """A ratio is regcache's median over the other's."""
        other = ("D", "mb_s")
        target = Target("work", "MB/s", "mb_s", 1.5, True, Comparison.RATIO, other)
        self.assertEqual(target.value(self.figures), 1.5)
        self.assertTrue(target.met(1.5))
        self.assertFalse(target.met(1.49))
        self.assertEqual(target.wanted, "≥ 1.5")

    def test_difference(self) -> None:
        """A difference is regcache's median less the other's, and has an upper bound."""
        other = (DIRECT, "ms")
        target = Target("work", "late", "ms", 10, False, Comparison.DIFFERENCE, other)
        self.assertEqual(target.value(self.figures), 8.0)
        self.assertTrue(target.met(8.0))
        self.assertFalse(target.met(10.1))

    def test_peer_missing(self) -> None:
        """A ratio to somebody who took no part is not known."""
        target = Target("work", "MB/s", "mb_s", 1, True, Comparison.RATIO, ("N", "mb_s"))
        self.assertIsNone(target.value(self.figures))

    def test_targets_name_workloads(self) -> None:
        """Every target is about a workload that exists, and about peers that take part in it."""
        for target in TARGETS:
            workload = WORKLOADS[target.workload]
            self.assertIn(target.other[0], ("", DIRECT, *workload.peers), target)


class LoadTests(SynchronousTestCase):
    """What the load clients print."""

    def test_wrk(self) -> None:
        """Rate and latencies are read in every unit of wrk."""
        self.assertEqual(Requests.parse(WRK), Requests(10999.5, 5.26, 1600.0))

    def test_wrk_errors(self) -> None:
        """Answers that are no success make the figure worthless."""
        text = WRK + "  Non-2xx or 3xx responses: 93\n"
        self.assertRaises(LoadFailedError, Requests.parse, text)

    def test_h2load(self) -> None:
        """The time of h2load counts where all of its requests succeeded."""
        text = (
            "finished in 250.00ms, 40.00 req/s, 1.89MB/s\n"
            "requests: 10 total, 10 started, 10 done, {} succeeded, 0 failed, 0 errored\n"
        )
        self.assertEqual(read_h2load(text.format(10), 10), 0.25)
        self.assertRaises(LoadFailedError, read_h2load, text.format(9), 10)
        self.assertRaises(LoadFailedError, read_h2load, "", 0)

    def test_sink(self) -> None:
        """Megabytes are 10^6 bytes, over the whole time."""
        self.assertEqual(Fetched.parse(SINK % (0, 0)).megabytes_per_second, 2.0)

    def test_sink_errors(self) -> None:
        """A transfer that broke, or was refused, makes the figure worthless."""
        for failed, refused in ((1, 0), (0, 1)):
            self.assertRaises(LoadFailedError, Fetched.parse, SINK % (failed, refused))


class GapTests(SynchronousTestCase):
    """The watchdog's lines."""

    def test_window(self) -> None:
        """Only what came in the time of the workload counts."""
        lines = [
            '[9.0, 500, 400, 0, "a"]',
            '[10.5, 21.0, 17.5, 0, "b", "c"]',
            '[10.6, 30.0, 1.0, 0, "c"]',
            "[10.7, 5, 5, 0]",
            '[12.1, 90, 1, 0, "a"]',
        ]
        causes = {"busy: b": 10.5, "busy: c": 10.5, "waiting: c": 30.0}
        self.assertEqual(parse_gaps(lines, 10.0, 12.0), Gaps(30.0, 1.0, 2, 17.5, causes))

    def test_collector(self) -> None:
        """The garbage collector's part is told apart; what nobody saw is said to be so."""
        found = parse_gaps(["[1.0, 50, 45, 40]"], 0.0, 2.0)
        self.assertEqual(
            found.top_causes(), [("busy: the garbage collector", 40.0), ("busy: not seen", 10.0)]
        )

    def test_none(self) -> None:
        """No line is no gap."""
        self.assertEqual(parse_gaps([], 0.0, 1.0), Gaps(0.0, 0.0, 0))

    def test_worse(self) -> None:
        """Of several rounds the longest gap is kept, and all are counted."""
        self.assertEqual(
            Gaps(30.0, 1.0, 2, 9.0, {"a": 30.0}).worse(Gaps(40.0, 2.0, 1, 2.0, {"a": 40.0})),
            Gaps(40.0, 2.0, 3, 9.0, {"a": 70.0}),
        )

    def test_places(self) -> None:
        """A place is named without the folders of the machine."""
        self.assertRegex(describe(sys._getframe()), r"^[^/]+/test_benchmarks\.py:test_places")


class TimingTests(SynchronousTestCase):
    """Where the time of a run goes."""

    def test_steps(self) -> None:
        """Steps of one name are added up, those that fail too."""
        timings = Timings()
        for _ in range(2):
            with self.assertRaises(LoadFailedError), timings.step("cold", TOTAL):
                raise LoadFailedError("no")
        seconds = timings.seconds["cold"][TOTAL]
        self.assertGreater(seconds, 0)
        with timings.step("cold", TOTAL):
            pass
        self.assertGreater(timings.total("cold"), seconds)

    def test_line(self) -> None:
        """The longest step comes first; what took next to nothing is left out."""
        timings = Timings()
        timings.seconds = {"cold": {TOTAL: 4.0, "wiping": 1.0, "direct": 0.01, "starting": 2.0}}
        self.assertEqual(timings.line("cold"), "4.0 s: starting 2.0, wiping 1.0")
        self.assertEqual(timings.line("tag"), "0.0 s")

    def test_long_sample(self) -> None:
        """One sample over the limit is enough, and only of the same server and workload."""
        figures = Figures()
        figures.add("tiny", "D", {"seconds": 1.0})
        figures.add("tiny", "D", {"seconds": 2.5})
        figures.add("tiny", "R", {"seconds": 0.5})
        found = [
            has_long_sample(figures, *place, 2.0)
            for place in (("tiny", "D"), ("tiny", "R"), ("cold", "D"))
        ]
        self.assertEqual(found, [True, False, False])
        self.assertFalse(has_long_sample(figures, "tiny", "D", 2.5))


class OtherCheckoutTests(SynchronousTestCase):
    """The regcache of another checkout beside ours."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        (self.folder / "regcache").mkdir(parents=True)
        (self.folder / "regcache" / "__init__.py").touch()

    def test_options(self) -> None:
        """It takes part once it is named, by its whole path, and the watchdog does not then."""
        options = parse(["--other", str(self.folder), "--peers", "R", "cold"])
        self.assertEqual((options.peers, options.other), ("RO", self.folder))
        self.assertTrue(options.no_watchdog)
        self.assertFalse(parse(["cold"]).no_watchdog)
        self.assertNotIn("O", parse(["cold"]).peers)

    def test_unnamed(self) -> None:
        """Its letter alone is an error."""
        self.patch(sys, "stderr", StringIO())
        self.assertRaises(SystemExit, parse, ["--peers", "OR", "cold"])

    def test_takes_part(self) -> None:
        """It has its turn beside ours, and only where ours has one."""
        self.assertEqual([taking_part(each) for each in ("DNVR", "R", "DN")], ["DNVOR", "OR", "DN"])

    def test_daemon(self) -> None:
        """Its daemon is found by its own path, and started by its own environment if it has one."""
        peer = OtherRegcache(self.folder, 1)
        peer.checkout = self.folder
        self.assertEqual(peer._environment()["PYTHONPATH"], str(self.folder))
        self.assertEqual(peer._command()[0], str(Path(sys.executable).with_name("twistd")))
        own = self.folder / ".venv" / "bin" / "python"
        own.parent.mkdir(parents=True)
        own.touch()
        self.assertEqual(peer._command()[0], str(own.with_name("twistd")))

    def test_found_first(self) -> None:
        """Its regcache is found before the one that is installed, and compiled."""
        (self.folder / "regcache" / "tap.py").touch()
        bytecode = Path(self.mktemp()).resolve()
        self.patch(os, "environ", {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)})
        compile_checkout(self.folder)
        self.assertTrue(list(bytecode.rglob("tap.*.pyc")))

    def test_incomplete(self) -> None:
        """A checkout whose regcache cannot be started is refused, and the reason told."""
        error = self.assertRaises(ServerFailedError, compile_checkout, self.folder)
        self.assertIn("No module named 'regcache.tap'", str(error))

    def test_none(self) -> None:
        """A folder without regcache is refused: ours would be measured as the other."""
        empty = Path(self.mktemp()).resolve()
        empty.mkdir()
        error = self.assertRaises(ServerFailedError, compile_checkout, empty)
        self.assertIn(f"{empty} has no regcache", str(error))


class SocketTests(SynchronousTestCase):
    """The output of ss."""

    def test_write_queues(self) -> None:
        """The write queues (w) are added up, and nothing that looks like them."""
        text = (
            "ESTAB 0 9 127.0.0.1:1 127.0.0.1:2 \n"
            "\t skmem:(r0,rb131072,t5,tb2626560,f2816,w2613504,o0,bl0,d0)\n"
            "ESTAB 0 9 127.0.0.1:1 127.0.0.1:3 \n"
            "\t skmem:(r7,rb131072,t0,tb87040,f0,w1000,o0,bl0,d0)\n"
        )
        self.assertEqual(parse_queued(text), 2614504)


class ReportTests(SynchronousTestCase):
    """Tables and picture."""

    def setUp(self) -> None:
        figures = Figures()
        figures.add("crowd-paced", "R", {"seconds": 1.0, "upstream_gets": 2.0, "mb_s": 50.0})
        figures.add("crowd-paced", "N", {"seconds": 2.0, "mb_s": 25.0})
        figures.add("crowd-paced", DIRECT, {"seconds": 0.5, "mb_s": 100.0})
        self.titles = {"crowd-paced": "50 <clients>"}
        gaps = {"crowd-paced": Gaps(25.0, 3.0, 1, 3.0, {"waiting: a": 25.0})}
        timings = Timings()
        timings.seconds = {"crowd-paced": {"wiping": 1.0, "direct": 0.01, "d": 2.0, TOTAL: 4.0}}
        self.report = Report(
            {"date": "today"},
            self.titles,
            figures,
            gaps,
            {"sink, MB/s": 5000.0},
            ["cold, D: no"],
            {"crowd-paced": "profile-crowd-paced.txt"},
            timings,
        )
        self.figures = figures

    def test_table(self) -> None:
        """A table has a head, a rule and its rows."""
        self.assertEqual(table(("a", "b"), [("1", "2")]), "| a | b |\n| --- | --- |\n| 1 | 2 |")

    def test_number(self) -> None:
        """Numbers have the digits that count."""
        self.assertEqual(
            [number(each) for each in (0.98765, 12.34, 1234.5)], ["0.988", "12.3", "1,234"]
        )

    def test_targets(self) -> None:
        """Each target that can be judged is, the watchdog's too."""
        verdicts = {row["what"].partition(",")[0]: row["met"] for row in self.report.targets()}
        self.assertEqual(
            verdicts,
            {
                "upstream GETs": False,
                "time ÷ N": True,
                "time ÷ direct": False,
                "reactor held": False,
            },
        )

    def test_markdown(self) -> None:
        """The tables show medians, verdicts, fractions of a direct transfer, and what failed."""
        text = self.report.markdown()
        self.assertIn("| 50 <clients> | time ÷ N | 0.5 | ≤ 0.6 | met |", text)
        self.assertIn("| 50 <clients> | upstream GETs | 2 | ≤ 1 | **missed** by 100 % |", text)
        self.assertIn("| speed ÷ direct | 1.00 | 0.25 | 0.50 |", text)
        self.assertIn("- cold, D: no", text)
        self.assertIn("\ntook 4.0 s: d 2.0, wiping 1.0\n", text)
        self.assertIn("| 50 <clients> | 25 | waiting: a |", text)
        self.assertIn("| sink, MB/s | 5,000 |", text)
        self.assertIn("- 50 <clients>: profile-crowd-paced.txt", text)

    def test_without_other(self) -> None:
        """Where no other checkout took part, nothing is said of one."""
        self.assertNotIn("another checkout", self.report.markdown())
        self.assertNotIn("R ÷ O", self.report.markdown())

    def test_other(self) -> None:
        """What another checkout was measured with stands beside ours, with the ratio."""
        self.figures.add("crowd-paced", "O", {"seconds": 0.8, "mb_s": 62.5})
        text = self.report.markdown()
        self.assertIn("O regcache of another checkout", text)
        self.assertIn("|  | direct | N | O | R | R ÷ O |", text)
        self.assertIn("| seconds | 0.500 | 2.000 | 0.800 | 1.000 | 1.250 |", text)
        self.assertIn("| upstream blob GETs |  |  |  | 2 |  |", text)
        self.assertIn("| speed ÷ direct | 1.00 | 0.25 | 0.62 | 0.50 |  |", text)

    def test_shortfall(self) -> None:
        """How far a target was missed is in per cent of it, unless nothing at all was wanted."""
        self.assertEqual([shortfall(1.3, 1.0), shortfall(0.75, 1.0)], ["30 %", "25 %"])
        self.assertEqual(shortfall(0.25, 0), "0.25")

    def test_missed(self) -> None:
        """A workload that misses targets is named once."""
        self.assertEqual(missed(self.figures), ["crowd-paced"])

    def test_profile(self) -> None:
        """Samples are summed up by function, its own and those of what it calls."""
        text = summary(
            [
                "thread (1): MainThread;run;read (a.py:1) 2",
                "thread (2): PoolThread-disk-0;run 1",
                "thread (3): PoolThread-disk-1;run 1",
                "thread (3): PoolThread-disk-1;run;Condition.wait (threading.py:295) 9",
            ]
        )
        self.assertIn("  50.0 %  read (a.py:1)   [MainThread]", text)
        self.assertIn("  50.0 %  run   [disk]", text)
        self.assertIn(" 100.0 %  run", text)

    def test_chart(self) -> None:
        """The picture is well-formed and has a bar for every target."""
        drawn = ElementTree.fromstring(draw(self.report.targets(), self.titles, "caption"))
        bars = [each for each in drawn.iter() if each.tag.endswith("rect")]
        self.assertEqual(len(bars), 1 + len(self.report.targets()))

    def test_goodness(self) -> None:
        """Above 1 is better than the bound, whichever way; a wanted zero is best when met."""
        self.assertEqual(goodness(2.6, 1.3, True), 2.0)
        self.assertEqual(goodness(40.0, 20.0, False), 0.5)
        self.assertEqual(goodness(0.0, 0.0, False), 8.0)


class CommandTests(SynchronousTestCase):
    """The command line."""

    def test_quick(self) -> None:
        """The short form has fewer rounds and peers, and leaves growth and long links out."""
        options = parse(["--quick"])
        self.assertEqual((options.rounds, options.peers), (2, "DNR"))
        left_out = set(WORKLOADS) - set(options.workloads)
        http2 = {"warm-h2", "warm-h1", "digest-h2", "digest-h1"}
        rates = {"rate-plain", "rate-tls", "rate-h2", "rate-seat", "rate-fair"}
        ours = {"growth", "usage", "operating", "recording"}
        self.assertEqual(left_out, {"long-link", "long-link-tls"} | ours | http2 | rates)

    def test_one_round(self) -> None:
        """The short form watches slow clients in one round, the long form in all of them."""
        self.assertGreater(QUICK.slow_seconds, QUICK.once_seconds)
        self.assertLess(FULL.slow_seconds, FULL.once_seconds)

    def test_full(self) -> None:
        """The long form has everything, five times."""
        options = parse([])
        self.assertEqual((options.rounds, options.peers), (5, "DNVR"))
        self.assertEqual(options.workloads, list(WORKLOADS))


class ContentTests(SynchronousTestCase):
    """What the upstreams serve."""

    def test_files(self) -> None:
        """Every file lies under its request target and has its digest."""
        content = Content(
            Path(self.mktemp()), Sizes(3_000_000, 10, 20, 30, 40, 2, 1.0, 1.0, 1.0, 9.0)
        )
        content.make()
        big = content.path(blob_path(content.big)).read_bytes()
        self.assertEqual((len(big), str(Digest.of(big))), (3_000_000, content.big))
        manifest = content.path(manifest_path("latest")).read_bytes()
        self.assertEqual(str(Digest.of(manifest)), content.manifest)
        self.assertEqual(len(set(content.tiny)), 2)
        self.assertEqual(content.path(blob_path(content.tiny[1])).stat().st_size, 4096)

    def test_index(self) -> None:
        """The large index is one that the daemon can use: totals, listings and order fit."""
        folder = Path(self.mktemp())
        with closing(connect(str(make_index(folder / "index.sqlite", 3)), create=False)) as index:
            check(index)
            oldest = candidates(index, FIRST, inf).candidates
            self.assertEqual(len(oldest), 15)
            self.assertEqual(occupied_bytes(index), sum(in_blocks(each.size) for each in oldest))
            self.assertEqual(
                len(list_repositories(index, UpstreamIdentity("upstream.test"), "", 10)), 3
            )
