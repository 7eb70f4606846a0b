"""``python -m benchmarks [--quick] [--rounds N] [--peers DNVR] [workload ...]``."""

import argparse
import compileall
import json
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.certificate import make_certificate
from benchmarks.chart import draw
from benchmarks.content import FULL, QUICK, Content
from benchmarks.figures import Figures
from benchmarks.load import build_sink
from benchmarks.machine import busy_cores, client_alone, describe, extend_path, missing_packages
from benchmarks.peers import compile_checkout
from benchmarks.processes import ServerFailedError, stop_all
from benchmarks.report import Report
from benchmarks.runner import Runner
from benchmarks.targets import missed
from benchmarks.upstreams import CHECKOUT, Upstream
from benchmarks.workload import LATE, PACE, Bench
from benchmarks.workloads import WORKLOADS

#: What the short form leaves out.
_LONG = {
    "growth",
    "long-link",
    "long-link-tls",
    "rate-plain",
    "rate-tls",
    "rate-h2",
    "rate-seat",
    "rate-fair",
    "usage",
    "operating",
    "recording",
    "warm-h2",
    "warm-h1",
    "digest-h2",
    "digest-h1",
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="workload", help=", ".join(WORKLOADS))
    parser.add_argument("--quick", action="store_true", help="smaller sizes, without growth")
    parser.add_argument("--rounds", type=int, default=0, help="default 5, or 2 with --quick")
    parser.add_argument("--peers", default="", help="letters of D N V R; default all (quick: DNR)")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build")
    parser.add_argument(
        "--other", type=Path, help="a checkout of regcache that takes part as O; no watchdog then"
    )
    parser.add_argument("--no-watchdog", action="store_true")
    parser.add_argument(
        "--profile", action="store_true", help="profile the workloads that miss a target"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no workload is called {', '.join(sorted(unknown))}")
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.peers = options.peers or ("DNR" if options.quick else "DNVR")
    if "O" in options.peers and options.other is None:
        parser.error("peer O needs --other")
    if options.other is not None:
        options.other = options.other.resolve()
        options.no_watchdog = True  # quick: it would look on at R alone
        options.peers += "" if "O" in options.peers else "O"
    wanted = options.workloads or [
        name for name in WORKLOADS if not (options.quick and name in _LONG)
    ]
    options.workloads = wanted
    return options


def prepare(options: argparse.Namespace, stack: ExitStack) -> Bench:
    """Make the content, compile the sink and regcache, start both upstreams."""
    kept: Path = options.output / "bench"
    kept.mkdir(parents=True, exist_ok=True)
    content = Content(kept / "content", QUICK if options.quick else FULL)
    print("making what the upstreams serve", file=sys.stderr)
    content.make()
    folder = kept / "run"
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    stack.callback(stop_all)
    compileall.compile_dir(CHECKOUT / "regcache", quiet=2)
    if options.other is not None:
        compile_checkout(options.other)
    cores = sorted(os.sched_getaffinity(0))
    certificate = make_certificate(kept / "tls")
    return Bench(
        folder=folder,
        kept=kept,
        content=content,
        sink=build_sink(kept),
        certificate=certificate,
        fast=Upstream(folder / "fast", content).start_fast(certificate),
        paced=Upstream(folder / "paced", content).start_paced(PACE, LATE),
        quick=options.quick,
        server_cores=frozenset(cores[:1]),
        client_cores=frozenset(cores[1:] or cores),
        other=options.other,
    )


def main(arguments: list[str]) -> int:
    """Measure, and write the report."""
    options = parse(arguments)
    extend_path()
    missing = missing_packages()
    if missing:
        print(
            f"missing: apt-get install --no-install-recommends {' '.join(missing)}", file=sys.stderr
        )
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began, figures, busy = time.monotonic(), Figures(), busy_cores()
    with ExitStack() as stack:
        try:
            bench = prepare(options, stack)
        except ServerFailedError as error:
            print(error, file=sys.stderr)
            return 1
        client = client_alone(bench)
        runner = Runner(bench, figures, options.peers, options.rounds, not options.no_watchdog)
        for name in options.workloads:
            runner.run(WORKLOADS[name])
        if options.profile:
            for name in missed(figures):
                runner.profile(WORKLOADS[name], options.output)
    about = {
        "date": time.strftime("%Y-%m-%d"),
        **describe(options.other),
        "command": f"python -m benchmarks {' '.join(arguments)}".strip(),
        "rounds": str(options.rounds),
        "cores that others used before the start": f"{busy:.1f}",
        "took": f"{time.monotonic() - began:.0f} s",
    }
    titles = {name: WORKLOADS[name].title for name in options.workloads}
    report = Report(
        about,
        titles,
        figures,
        runner.gaps,
        client,
        [*runner.failures, *runner.left_out],
        runner.profiles,
        runner.timings,
    )
    write(options.output, report, titles)
    return 1 if runner.failures else 0


def write(output: Path, report: Report, titles: dict[str, str]) -> None:
    """Markdown, JSON and the chart."""
    text = report.markdown()
    (output / "bench.md").write_text(text)
    (output / "bench.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
    caption = "regcache against its targets"
    (output / "bench.svg").write_text(draw(report.targets(), titles, caption))
    print(text)
    print(f"written: {output}/bench.md, bench.json, bench.svg", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
