"""What is measured, in the order in which it is run."""

from benchmarks.workload import Workload
from benchmarks.workloads.cold import Cold, Crowd, CrowdPaced, Paced, Tiny
from benchmarks.workloads.starting import Growth, Start
from benchmarks.workloads.warm import (
    Digest,
    SlowPlain,
    SlowTls,
    Tag,
    Warm16Plain,
    Warm16Tls,
    WarmPlain,
    WarmTls,
)

_CLASSES: list[type[Workload]] = [
    WarmPlain,
    WarmTls,
    Warm16Plain,
    Warm16Tls,
    Digest,
    Tag,
    Cold,
    Paced,
    Crowd,
    CrowdPaced,
    SlowPlain,
    SlowTls,
    Tiny,
    Start,
    Growth,
]

WORKLOADS: dict[str, type[Workload]] = {each.name: each for each in _CLASSES}
