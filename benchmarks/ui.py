"""How soon pages of the web UI are there, and what one that is left open costs.

    python -m benchmarks.ui [--contents 100000] [--seconds 600]

The index is as large as it says, with five contents to a repository; the daemon and a Chromium are
on this machine, and each page is opened five times in a window that has seen nothing before. Then
the overview of a daemon that is used is left open (:mod:`benchmarks.left_open`). 0 leaves one of
them out. It needs chromium.
"""

import argparse
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.index_maker import make_index
from benchmarks.left_open import left_open
from tests.support.devtools import Browser
from tests.support.servers import Regcache

BUILD = Path(__file__).resolve().parent.parent / "build"
UPSTREAM = "upstream.test"
ROUNDS = 5
LONGEST = 600.0
"""Seconds for which the summaries of a new index are waited for."""

#: Seconds until a page shows its data, of which painting something is a part.
SOON = 1.0

_READY = " && !document.querySelector('.waiting')"
#: Where a page is, and what is there when it shows its data.
PAGES = {
    "overview": ("#/", "document.querySelector('.say h1')" + _READY),
    "images": ("#/images", "document.querySelectorAll('tbody tr.r').length >= 50"),
    "storage": ("#/storage", "document.querySelectorAll('.panel').length > 3" + _READY),
}
#: Notes when the condition holds first, as soon as the page is changed to that.
_WATCH = """
addEventListener('DOMContentLoaded', () => {
  const look = () => {
    if (window.shownAt || !(%s)) return;
    window.shownAt = performance.now();
    watcher.disconnect();
  };
  const watcher = new MutationObserver(look);
  watcher.observe(document, { childList: true, subtree: true });
});
"""
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]"


class Sample(NamedTuple):
    """One page, opened once: milliseconds since it was asked for."""

    painted: float
    shown: float


@contextmanager
def running(index: Path) -> Iterator[Regcache]:
    """A daemon with an index."""
    config = {
        "upstreams": {UPSTREAM: {"urls": ["http://127.0.0.1:1"]}},
        "default_upstream": UPSTREAM,
    }
    daemon = Regcache(config)
    daemon.config["storage"]["scrub"] = None  # it would find that there are no files
    try:
        shutil.copyfile(index, daemon.directory / "index.sqlite")
        daemon.start()
        yield daemon
    finally:
        daemon.close()


def settled_index(contents: int) -> Path:
    """An index of which the daemon has made all the summaries: made once, and kept."""
    made = make_index(BUILD / "bench" / "index.sqlite", contents // 5)
    settled = made.with_suffix(".settled.sqlite")
    if not settled.exists():
        with running(made) as daemon:
            began = time.monotonic()
            while left := outdated(daemon.directory / "index.sqlite"):
                if time.monotonic() - began > LONGEST:
                    raise SystemExit(f"{left} summaries were not made in {LONGEST} s")
                time.sleep(1.0)
            print(f"all summaries were made after {time.monotonic() - began:.0f} s")
            daemon.stop()
            shutil.copyfile(daemon.directory / "index.sqlite", settled)
    return settled


def outdated(index: Path) -> int:
    """How many summaries are to be made."""
    with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM outdated").fetchone()[0])


def opened(browser: Browser, daemon: Regcache, name: str) -> Sample:
    """Open a page in a window of its own, and look when it is there."""
    place, there = PAGES[name]
    tab = browser.tab()
    try:
        tab.ask("Page.addScriptToEvaluateOnNewDocument", source=_WATCH % there)
        tab.open(f"http://127.0.0.1:{daemon.admin_port}/{place}")
        tab.wait(f"window.shownAt && {_PAINTED}")
        return Sample(tab.run(f"{_PAINTED}.startTime"), tab.run("shownAt"))
    finally:
        tab.close()


def all_opened(browser: Browser, contents: int) -> bool:
    """Open each page a few times; whether all are there soon."""
    good = True
    with running(settled_index(contents)) as daemon:
        opened(browser, daemon, "images")  # the browser itself has not started whole before
        for name in PAGES:
            samples = [opened(browser, daemon, name) for _ in range(ROUNDS)]
            painted, shown = (median(each) for each in zip(*samples, strict=True))
            worst = max(each.shown for each in samples)
            print(f"{name}: painted {painted:.0f} ms, data {shown:.0f} ms (worst {worst:.0f})")
            good = good and shown < SOON * 1000
    return good


def main() -> int:
    """Measure, and print; 1 where it falls short."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ui")
    parser.add_argument("--contents", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    browser = Browser()
    good = True
    try:
        if arguments.contents:
            good = all_opened(browser, arguments.contents)
        if arguments.seconds:
            good = left_open(browser, arguments.seconds) and good
    finally:
        browser.close()
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
