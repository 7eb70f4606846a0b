"""What is measured, in the order in which it is run."""

from benchmarks.workload import Workload
from benchmarks.workloads.access import Access, WrongLogins
from benchmarks.workloads.cold import (
    Cold,
    ColdLayers,
    ColdLayersOneCore,
    ColdLayersTls,
    ColdTls,
    ColdTlsBoth,
    Crowd,
    CrowdPaced,
    Paced,
    Tiny,
    TinyTls,
)
from benchmarks.workloads.distant import LongLink, LongLinkTls
from benchmarks.workloads.http2 import DigestHttp1, DigestHttp2, WarmHttp1, WarmHttp2
from benchmarks.workloads.operating import Operating
from benchmarks.workloads.rates import RateHttp2, RatePlain, RateTls
from benchmarks.workloads.recording import Recording
from benchmarks.workloads.seats import FairShares, SeatRate
from benchmarks.workloads.starting import Growth, Start
from benchmarks.workloads.usage import UsagePage
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
    Access,
    WrongLogins,
    Cold,
    ColdTls,
    ColdTlsBoth,
    ColdLayers,
    ColdLayersTls,
    ColdLayersOneCore,
    Paced,
    Crowd,
    CrowdPaced,
    SlowPlain,
    SlowTls,
    LongLink,
    LongLinkTls,
    RatePlain,
    RateTls,
    RateHttp2,
    SeatRate,
    FairShares,
    WarmHttp2,
    WarmHttp1,
    DigestHttp2,
    DigestHttp1,
    Tiny,
    TinyTls,
    Start,
    Growth,
    Operating,
    Recording,
    UsagePage,
]

WORKLOADS: dict[str, type[Workload]] = {each.name: each for each in _CLASSES}
