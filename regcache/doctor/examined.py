"""Findings on one upstream that was asked: step by step, a manifest, a sample of a layer."""

from collections.abc import Sequence
from dataclasses import KW_ONLY

from regcache.doctor.findings import Finding, bad, look, ok
from regcache.light_dataclass import dataclass
from regcache.probing import ProbedUrl
from regcache.upstream_health import UpstreamHealth

#: A link that brings less is worth a look (bytes a second).
SLOW = 512 * 1024
#: A sample that is smaller tells nothing of speed (bytes).
LEAST_SAMPLE = 256 * 1024
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ManifestAsked:
    """A HEAD of a manifest.

    :ivar problem: "" where it was answered.
    """

    image: str
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LayerSampled:
    """The beginning of a layer.

    :ivar host: that sent it, perhaps behind redirects.
    :ivar size: bytes that came.
    :ivar seconds: from the first byte of the body to the last.
    :ivar problem: "" where it came.
    """

    host: str
    size: int
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ExaminedUpstream:
    """What came of asking an upstream.

    :ivar manifest: None where it was not asked for.
    :ivar sample: None where nothing is known that could be asked for.
    :ivar timed_out: it took too long.
    """

    name: str
    _: KW_ONLY
    urls: Sequence[ProbedUrl] = ()
    manifest: ManifestAsked | None = None
    sample: LayerSampled | None = None
    timed_out: bool = False

    @property
    def skews(self) -> list[float]:
        """How far we are ahead of its clocks (seconds)."""
        return [each.skew for each in self.urls if each.skew is not None]


def examined_findings(examined: ExaminedUpstream) -> list[Finding]:
    """What was found of it."""
    found = [_reached(examined.name, each) for each in examined.urls]
    if examined.timed_out:
        test = f"regcachectl test {examined.name}"
        found.append(bad(examined.name, "it did not answer everything in time", test))
    if examined.manifest is not None:
        found.append(_manifest(examined.name, examined.manifest))
        found.append(_sample(examined.name, examined.sample))
    return found


def _reached(name: str, url: ProbedUrl) -> Finding:
    if url.problem:
        return bad(name, f"{url.url}: {url.problem}", f"regcachectl test {name}")
    seconds = sum(step.seconds or 0.0 for step in url.steps)
    steps = ", ".join(step.name for step in url.steps)
    return ok(name, f"{url.url}: {steps} in {seconds * 1000:.0f} ms")


def _manifest(name: str, asked: ManifestAsked) -> Finding:
    check = f"{name} manifest"
    if asked.problem:
        return bad(check, f"{asked.image}: {asked.problem}", f"regcachectl refresh {asked.image}")
    return ok(check, f"{asked.image} in {asked.seconds * 1000:.0f} ms")


def _sample(name: str, sample: LayerSampled | None) -> Finding:
    check = f"{name} speed"
    if sample is None:
        return ok(check, "not measured: no layer of it is here yet")
    if sample.problem:
        why = f"a layer could not be had from {sample.host or 'it'}: {sample.problem}"
        return bad(check, why, f"regcachectl test {name}")
    text = f"{sample.host} sent {sample.size / _MIB:.1f} MiB in {sample.seconds:.1f} s"
    if sample.size < LEAST_SAMPLE:
        return ok(check, f"{text}, which is too little to tell its speed")
    if sample.size / max(sample.seconds, 0.001) < SLOW:
        return look(check, f"{text}: that is slow", f"upstreams.{name}.proxy, .urls")
    return ok(check, text)


def health_findings(health: UpstreamHealth) -> list[Finding]:
    """What is known of an upstream that is not asked now."""
    found = []
    if health.credentials_ok is False:
        why = f"its token server refuses the account {health.account}; it is asked without one"
        found.append(bad(health.name, why, f"upstreams.{health.name}.password_file"))
    for url in health.urls:
        error = url.last_error
        if url.failing_since is not None and error is not None:
            found.append(
                bad(health.name, f"{url.url}: {error.text}", f"regcachectl test {health.name}")
            )
        elif url.limited_until is not None:
            wait = "its rate limit is used up: an account raises it"
            found.append(
                look(health.name, f"{url.url}: {wait}", f"upstreams.{health.name}.username")
            )
    if found:
        return found
    asked = any(url.asked for url in health.urls)
    text = "it answered when it was asked last" if asked else "it has not been asked yet"
    return [ok(health.name, text)]
