"""The truth table of routing, as docs/clients.md prints it."""

from dataclasses import dataclass

from regcache.web.hosts import RoutingTable, UpstreamNames

DOCKER = "docker.io"
GHCR = "ghcr.io"


@dataclass(frozen=True)
class Row:
    """One request under one configuration, and where it goes.

    :ivar upstream: "" for an error, of which ``repository`` is the status and code.
    """

    setup: str
    host: str | None
    name: str
    ns: str | None
    upstream: str
    repository: str

    def markdown(self) -> str:
        """The row of the table in the documentation."""
        ns = "" if self.ns is None else f"`{self.ns}`"
        host = "(none)" if self.host is None else f"`{self.host}`"
        result = f"{self.upstream}: `{self.repository}`" if self.upstream else self.repository
        return f"| {self.setup} | {host} | `{self.name}` | {ns} | {result} |"


def _upstreams(docker_hosts: tuple[str, ...], ghcr_hosts: tuple[str, ...]) -> list[UpstreamNames]:
    return [
        UpstreamNames(
            DOCKER,
            aliases=("index.docker.io", "registry-1.docker.io"),
            hosts=docker_hosts,
            default_namespace="library",
        ),
        UpstreamNames(GHCR, hosts=ghcr_hosts, deny=("secret/*",)),
        UpstreamNames("registry.k8s.io", aliases=("k8s.gcr.io",)),
        UpstreamNames("lan", allow=("team/*", "base")),
    ]


SETUPS = {
    "plain": RoutingTable.build(_upstreams((), ()), default_upstream=DOCKER),
    "domain": RoutingTable.build(_upstreams((), ()), default_upstream=DOCKER, domain="example.com"),
    "hosts": RoutingTable.build(
        _upstreams(("docker.example.com",), ("ghcr.example.com", "*.gh.example.net")),
        default_upstream=DOCKER,
        domain="example.com",
        admin_hosts=["registry.example.com"],
    ),
    "default_hosts": RoutingTable.build(
        _upstreams((), ()), default_upstream=DOCKER, default_hosts=["mirror.lan", "*.pull.lan"]
    ),
    "no default": RoutingTable.build(_upstreams((), ())),
}

UNKNOWN = "404 NAME_UNKNOWN"
INVALID = "400 NAME_INVALID"

ROWS = [
    # nothing named: the default upstream
    Row("plain", "127.0.0.1:5000", "alpine", None, DOCKER, "library/alpine"),
    Row("plain", "[::1]:5000", "org/app", None, DOCKER, "org/app"),
    Row("plain", "localhost:5000", "library/alpine", None, DOCKER, "library/alpine"),
    Row("plain", "any.name.test", "alpine", None, DOCKER, "library/alpine"),
    Row("plain", None, "alpine", None, DOCKER, "library/alpine"),
    Row("domain", "any.name.test", "alpine", None, DOCKER, "library/alpine"),
    Row("domain", "x.example.com", "alpine", None, "", UNKNOWN),
    Row("domain", "example.com", "alpine", None, "", UNKNOWN),
    Row("domain", None, "alpine", None, DOCKER, "library/alpine"),
    Row("hosts", "127.0.0.1", "alpine", None, DOCKER, "library/alpine"),
    Row("hosts", "LOCALHOST.", "alpine", None, DOCKER, "library/alpine"),
    Row("hosts", "any.name.test", "alpine", None, "", UNKNOWN),
    Row("hosts", "x.example.com", "alpine", None, "", UNKNOWN),
    Row("hosts", None, "alpine", None, "", UNKNOWN),
    Row("default_hosts", "mirror.lan:5000", "alpine", None, DOCKER, "library/alpine"),
    Row("default_hosts", "a.pull.lan", "alpine", None, DOCKER, "library/alpine"),
    Row("default_hosts", "10.0.0.1", "alpine", None, DOCKER, "library/alpine"),
    Row("default_hosts", "other.lan", "alpine", None, "", UNKNOWN),
    Row("default_hosts", None, "alpine", None, "", UNKNOWN),
    Row("no default", "127.0.0.1", "alpine", None, "", UNKNOWN),
    # named by the Host
    Row("hosts", "docker.example.com", "alpine", None, DOCKER, "library/alpine"),
    Row("hosts", "Docker.Example.COM.:443", "org/app", None, DOCKER, "org/app"),
    Row("hosts", "ghcr.example.com", "org/app", None, GHCR, "org/app"),
    Row("hosts", "ghcr.example.com", "app", None, GHCR, "app"),
    Row("hosts", "a.gh.example.net", "org/app", None, GHCR, "org/app"),
    Row("hosts", "a.b.gh.example.net", "org/app", None, GHCR, "org/app"),
    Row("hosts", "gh.example.net", "org/app", None, "", UNKNOWN),
    Row("hosts", "registry.example.com", "org/app", None, "", UNKNOWN),
    Row("hosts", "registry.example.com", "org/app", "docker.io", "", UNKNOWN),
    # named by ns
    Row("plain", "127.0.0.1", "org/app", "ghcr.io", GHCR, "org/app"),
    Row("plain", "127.0.0.1", "library/alpine", "docker.io", DOCKER, "library/alpine"),
    Row("plain", "127.0.0.1", "library/alpine", "registry-1.docker.io", DOCKER, "library/alpine"),
    Row("plain", "127.0.0.1", "pause", "k8s.gcr.io", "registry.k8s.io", "pause"),
    Row("plain", "127.0.0.1", "org/app", "GHCR.IO", GHCR, "org/app"),
    Row("plain", "127.0.0.1", "library/alpine", "evil.test", "", UNKNOWN),
    Row("plain", "127.0.0.1", "library/alpine", "127.0.0.1:5000", "", UNKNOWN),
    Row("plain", "127.0.0.1", "library/alpine", "", "", UNKNOWN),
    Row("hosts", "x.example.com", "org/app", "ghcr.io", GHCR, "org/app"),
    Row("no default", "127.0.0.1", "org/app", "ghcr.io", GHCR, "org/app"),
    # named by Host and ns
    Row("hosts", "ghcr.example.com", "org/app", "ghcr.io", GHCR, "org/app"),
    Row("hosts", "docker.example.com", "alpine", "index.docker.io", DOCKER, "library/alpine"),
    Row("hosts", "docker.example.com", "org/app", "ghcr.io", "", UNKNOWN),
    Row("hosts", "docker.example.com", "org/app", "evil.test", "", UNKNOWN),
    # named by the first component
    Row("plain", "127.0.0.1", "ghcr.io/org/app", None, GHCR, "org/app"),
    Row("plain", "127.0.0.1", "GHCR.io/org/app", None, GHCR, "org/app"),
    Row("plain", "127.0.0.1", "docker.io/alpine", None, DOCKER, "library/alpine"),
    Row("plain", "127.0.0.1", "index.docker.io/org/app", None, DOCKER, "org/app"),
    Row("plain", "127.0.0.1", "lan/team/app", None, "lan", "team/app"),
    Row("hosts", "x.example.com", "ghcr.io/org/app", None, GHCR, "org/app"),
    Row("no default", "127.0.0.1", "ghcr.io/org/app", None, GHCR, "org/app"),
    Row("plain", "127.0.0.1", "evil.test/org/app", None, "", UNKNOWN),
    Row("plain", "127.0.0.1", "ghcr.io:443/org/app", None, "", UNKNOWN),
    Row("plain", "127.0.0.1", "localhost/app", None, "", UNKNOWN),
    Row("plain", "127.0.0.1", "localhost:5000/app", None, "", UNKNOWN),
    Row("plain", "127.0.0.1", "ghcr.io", None, "", UNKNOWN),
    Row("plain", "127.0.0.1", "lan", None, DOCKER, "library/lan"),
    # named by the first component and ns, as BuildKit does
    Row("plain", "127.0.0.1", "docker.io/library/alpine", "docker.io", DOCKER, "library/alpine"),
    Row("plain", "127.0.0.1", "index.docker.io/org/app", "docker.io", DOCKER, "org/app"),
    Row("plain", "127.0.0.1", "ghcr.io/org/app", "docker.io", "", UNKNOWN),
    Row("plain", "127.0.0.1", "odd.name/app", "docker.io", DOCKER, "odd.name/app"),
    # a Host that names an upstream: the first component is part of the repository
    Row("hosts", "docker.example.com", "ghcr.io/org/app", None, DOCKER, "ghcr.io/org/app"),
    Row("hosts", "docker.example.com", "odd.name/app", None, DOCKER, "odd.name/app"),
    Row("hosts", "docker.example.com", "localhost:5000/app", None, "", INVALID),
    # what may be had
    Row("plain", "127.0.0.1", "secret/app", "ghcr.io", "", UNKNOWN),
    Row("plain", "127.0.0.1", "team/a/b", "lan", "lan", "team/a/b"),
    Row("plain", "127.0.0.1", "base", "lan", "lan", "base"),
    Row("plain", "127.0.0.1", "other/app", "lan", "", UNKNOWN),
]
