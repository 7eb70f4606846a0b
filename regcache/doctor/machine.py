"""Findings on this machine: configuration, disk, certificates, ports, clock, clients."""

import shlex
from collections.abc import Sequence
from dataclasses import KW_ONLY

from regcache.doctor.findings import Finding, bad, look, ok
from regcache.facts import in_units
from regcache.light_dataclass import dataclass
from regcache.times import time_text

#: Days before the end of a certificate from which on it is said.
EXPIRES_SOON = 14
#: Seconds that clocks may differ: tokens and certificates begin and end by them.
CLOCK_LOOK, CLOCK_BAD = 30.0, 300.0
_DAY = 86_400.0
_GIB = 1024**3
#: Of each kind.
MOST_TOLD = 10


@dataclass(frozen=True, slots=True)
class DiskState:
    """The file system of the storage directory.

    :ivar free: bytes; None where that is not known.
    :ivar used: by the cache (bytes); None where that is not known.
    :ivar limit: of ``max_size`` (bytes); None where it is not known.
    :ivar problems: why nothing new is kept.
    :ivar refused: why there was no space for something a moment ago; "" if there was.
    :ivar remark: what is odd about the limits; "" for nothing.
    """

    directory: str
    _: KW_ONLY
    free: int | None
    min_free: int
    used: int | None = None
    limit: int | None = None
    problems: Sequence[str] = ()
    refused: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class CertificateState:
    """A file of certificates.

    :ivar ends: when the first one does (Unix seconds); None where it cannot be read.
    :ivar problem: why it cannot be read.
    """

    path: str
    ends: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PortState:
    """A listener.

    :ivar endpoint: as configured.
    :ivar answers: None where it cannot be tried from here.
    :ivar is_open_to_all: others than this machine reach it, and may pull without an account.
    """

    endpoint: str
    _: KW_ONLY
    scheme: str
    answers: bool | None
    is_local: bool
    is_open_to_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PassingClient:
    """A client that passes the cache by.

    :ivar agent: what it says that it is.
    :ivar reason: challenged, failed or pings.
    :ivar since: Unix seconds.
    :ivar count: how often.
    """

    address: str
    agent: str
    reason: str
    since: float
    count: int


def config_findings(
    file: str, errors: Sequence[str], warnings: Sequence[str], *, in_force: bool = False
) -> list[Finding]:
    """What check-config finds.

    :param in_force: an earlier state of the file is in force meanwhile.
    """
    check = f"regcachectl check-config {shlex.quote(file)}"
    if errors:
        what = "is not in force as it is now" if in_force else "is wrong"
        return [bad("configuration", f"{file} {what}: {each}", check) for each in errors]
    found = [look("configuration", each, check) for each in warnings]
    return found or [ok("configuration", f"{file} is right")]


def disk_findings(state: DiskState) -> list[Finding]:
    """Whether there is room."""
    where = f"df -h {shlex.quote(state.directory)}"
    found = [bad("disk", each, where) for each in state.problems]
    if found:
        return found
    if state.free is None:
        return [bad("disk", f"{state.directory} cannot be looked at", where)]
    text = f"{state.directory}: {in_units(state.free)} free"
    if state.used is not None and state.limit is not None:
        text += f", {in_units(state.used)} used of {in_units(state.limit)}"
    if state.free < state.min_free:
        why = f"{text}; storage.min_free is {in_units(state.min_free)}, so nothing new may be kept"
        return [bad("disk", why, "regcachectl sweep --unused-for 7")]
    if state.refused:
        return [bad("disk", f"{text}; what is new is passed through: {state.refused}", where)]
    if state.remark:
        return [look("disk", f"{text}; {state.remark}", where)]
    if state.limit is not None and state.limit < _GIB:
        return [look("disk", f"{text}; that is little", "storage.max_size")]
    return [ok("disk", text)]


def certificate_findings(states: Sequence[CertificateState], now: float) -> list[Finding]:
    """Whether certificates have ended, or soon will."""
    found = [_certificate(each, now) for each in states]
    return found or [ok("certificates", "there are none: no listener has TLS")]


def _certificate(state: CertificateState, now: float) -> Finding:
    show = f"openssl x509 -noout -dates -subject -in {shlex.quote(state.path)}"
    if state.ends is None:
        return bad("certificates", f"{state.path}: {state.problem}", show)
    days = int((state.ends - now) / _DAY)
    until = time_text(state.ends)
    if state.ends <= now:
        return bad("certificates", f"{state.path} expired on {until}: no client connects", show)
    if days < EXPIRES_SOON:
        return look("certificates", f"{state.path} ends on {until}, in {days} days: renew it", show)
    return ok("certificates", f"{state.path} is good for {days} days")


def port_findings(states: Sequence[PortState], runs: bool = True) -> list[Finding]:
    """Whether listeners answer, and to whom.

    :param runs: whether a daemon does.
    """
    return [_port(each, runs) for each in states]


def _port(state: PortState, runs: bool) -> Finding:
    who = "this machine alone" if state.is_local else "everybody who reaches this machine"
    text = f"{state.endpoint}: {state.scheme}, for {who}"
    if state.answers is False and runs:
        return bad("ports", f"{text}; nothing answers there", "ss -ltnp; journalctl -u regcache")
    if state.answers and not runs:
        return look("ports", f"{text}; something listens there", "ss -ltnp")
    if state.is_open_to_all:
        return look("ports", f"{text}, who may pull all without an account", "see docs/access.md")
    return ok("ports", text)


def clock_finding(skews: Sequence[float]) -> Finding:
    """How far our clock is from those of upstreams.

    :param skews: seconds that we are ahead of each.
    """
    if not skews:
        return look("clock", "no upstream has told its time")
    skew = sorted(skews)[len(skews) // 2]
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the upstreams"
    if abs(skew) >= CLOCK_BAD:
        return bad("clock", f"{text}: tokens and certificates fail", "timedatectl set-ntp true")
    if abs(skew) >= CLOCK_LOOK:
        return look("clock", text, "timedatectl set-ntp true")
    return ok("clock", "it agrees with the upstreams")


_PASSES = {
    "challenged": "was asked for a login {count} times, and never had a layer",
    "failed": "met errors {count} times, and had no layer since",
    "pings": "asked for /v2/ {count} times, and for nothing else",
}


def client_findings(clients: Sequence[PassingClient]) -> list[Finding]:
    """Who passes the cache by."""
    found = [_client(each) for each in clients[:MOST_TOLD]]
    if len(clients) > MOST_TOLD:
        found.append(look("clients", f"{len(clients) - MOST_TOLD} more pass the cache by"))
    return found or [ok("clients", "none is known to pass the cache by")]


def _client(client: PassingClient) -> Finding:
    what = _PASSES[client.reason].format(count=client.count)
    agent = f" ({client.agent})" if client.agent else ""
    text = f"{client.address}{agent} {what}, since {time_text(client.since)}"
    return look("clients", text, _tool_for(client.agent))


def _tool_for(agent: str) -> str:
    """How that client is set up."""
    name = agent.lower()
    for word, tool in (
        ("docker", "docker"),
        ("containerd", "containerd"),
        ("cri-o", "crio"),
        ("buildkit", "buildkit"),
        ("nerdctl", "nerdctl"),
    ):
        if word in name:
            return f"regcachectl client-config {tool}"
    libraries = ("containers/", "podman", "skopeo", "buildah")
    if any(word in name for word in libraries):
        return "regcachectl client-config podman"
    return f"regcachectl requests --failed --why {agent and '-q ' + shlex.quote(agent)}".rstrip()
