"""What may happen to the blob pipeline, as strategies for hypothesis.

Sizes are those of a small world, see tests/cache/test_pipeline_properties.py; places in a blob
are in thousandths.
"""

from typing import Any

from hypothesis import strategies as st

from regcache.errors import (
    UpstreamDenied,
    UpstreamNotFound,
    UpstreamRateLimited,
    UpstreamServerError,
    UpstreamUnreachable,
)
from tests.support.bodies import Fault

KIB = 1024
NAME = "up.test"
refusals = st.sampled_from(
    [
        UpstreamNotFound(NAME, "not found", status=404),
        UpstreamDenied(NAME, "no", status=403),
        UpstreamRateLimited(NAME, "slowly", retry_after=7),
        UpstreamServerError(NAME, "503", status=503),
        UpstreamUnreachable(NAME, "connection refused"),
    ]
)
places = st.integers(0, 999)
flips = st.none() | places
faults = st.one_of(
    st.builds(Fault, refuse=refusals),
    st.builds(Fault, cut=places, flip=flips, ignore_range=st.booleans()),
    st.builds(Fault, stall=places, flip=flips, hide_size=st.booleans()),
    st.builds(Fault, flip=places),
    st.builds(Fault, shift=st.integers(1, 5000)),
    st.builds(Fault, claim_size=st.integers(1, 100 * KIB), flip=flips),
    st.builds(Fault, claim_start=st.integers(1, 5000)),
    st.builds(Fault, hide_size=st.just(True), cut=st.none() | places, flip=flips),
    st.builds(Fault, hide_size=st.just(True), ends=places, ignore_range=st.booleans()),
    st.builds(Fault, ignore_range=st.just(True), hide_size=st.booleans()),
    st.builds(Fault, surplus=st.binary(min_size=1, max_size=9)),
)
spans = st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(lambda pair: tuple(sorted(pair)))
breaks = st.one_of(
    st.builds(Fault, cut=places, ignore_range=st.booleans()),
    st.builds(Fault, stall=places),
    st.builds(Fault, surplus=st.binary(min_size=1, max_size=9)),
)
parts = st.one_of(
    st.just([]),
    st.integers(1, 1000).map(lambda end: [(0, end)]),
    st.integers(0, 999).map(lambda start: [(start, 1000)]),
    st.integers(900, 999).map(lambda start: [(start, start + 1)]),
    st.lists(spans, min_size=1, max_size=3),
)
seldom = st.sampled_from([False, False, False, True])
choices = st.tuples(st.integers(0, 9))
numbers = st.integers(0, 1)

Kinds = dict[str, tuple[int, st.SearchStrategy[tuple[Any, ...]]]]

#: The methods of Scenario: how often they come, and what their arguments are.
EVENTS: Kinds = {
    "pull": (
        6,
        st.tuples(numbers, st.sampled_from(["org/app", "org/two"]), parts, seldom, seldom),
    ),
    "turn": (10, st.tuples(st.integers(1, 60))),
    "wait": (2, st.tuples(st.sampled_from([0.3, 5.0, 40.0]))),
    "begin_part": (2, choices),
    "pause": (1, choices),
    "resume": (3, choices),
    "leave": (2, choices),
    "change_disk": (1, st.tuples(st.sampled_from([0.0, 0.001, 0.03]))),
    "restart": (1, st.tuples()),
    "kill": (1, st.tuples(st.integers(0, 3))),
    "evict": (2, st.tuples(numbers)),
    "remove": (1, st.tuples(numbers)),
}
#: What makes an answer break off, and no more.
BREAKS: Kinds = {
    "upstream_errs": (6, st.tuples(numbers, breaks)),
}
#: What goes wrong besides.
TROUBLES: Kinds = {
    "upstream_errs": (8, st.tuples(numbers, faults)),
    "disk_errs": (1, st.tuples(st.integers(1, 3))),
    "mention": (1, st.tuples(numbers, st.sampled_from([1, 5 * KIB, 20_000, 65_537, 2**40]))),
    "space_changes": (2, st.tuples(st.sampled_from([2**60, 30_000, 4 * KIB, 0]))),
}


def sequences(
    *kinds: Kinds,
) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Random sequences of events: (name of a method of the scenario, its arguments ...)."""
    known = {name: entry for kind in kinds for name, entry in kind.items()}
    names = [name for name, (weight, _) in known.items() for _ in range(weight)]

    @st.composite
    def event(draw: st.DrawFn) -> tuple[Any, ...]:
        name = draw(st.sampled_from(names))
        return (name, *draw(known[name][1]))

    return st.lists(event(), min_size=20, max_size=70)


worlds = st.builds(
    dict,
    sizes=st.lists(
        st.sampled_from([*[65_537] * 4, 20_000, 20_000, 5 * KIB, 4 * KIB, 3 * KIB, 1, 0]),
        min_size=1,
        max_size=2,
    ),
    finish=st.sampled_from([None, 0, 10 * KIB]),
    chunk=st.sampled_from([500, 1500, 4 * KIB]),
    second=st.none() | refusals,
    shared=st.booleans(),
)
