"""Looks at what can be looked at where no daemon runs: the file, and what it names.

What only the daemon knows how to do (tokens, manifests, its outgoing proxies, name servers and
families of addresses) is left out, and that is said.
"""

import os
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

from regcache.config.endpoints import tcp_address
from regcache.config.loading import load
from regcache.config.local_state import certificate_states, dialled, port_state
from regcache.config.model import Config
from regcache.config.problems import ConfigError
from regcache.config.upstream_settings import UpstreamSettings
from regcache.ctl.proof import BypassError
from regcache.ctl.registry_connection import RegistryConnection
from regcache.doctor.findings import Finding, bad, look, ok, worst_first
from regcache.doctor.machine import (
    DiskState,
    certificate_findings,
    clock_finding,
    config_findings,
    disk_findings,
    port_findings,
)

#: For one upstream (seconds).
_SECONDS = 10.0
_CONNECT_SECONDS = 2.0
_AT_ONCE = 16
_PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")
_STARTS = "systemctl start regcache"


def local_findings(file: str, environ: Mapping[str, str]) -> list[Finding]:
    """What is found without a daemon. Blocks."""
    left_out = "no daemon answers: tokens, manifests, speed and clients were not looked at"
    daemon = look("daemon", left_out, _STARTS)
    try:
        loaded = load(file, environ)
    except ConfigError as error:
        return [*config_findings(file, error.lines, ()), daemon]
    config = loaded.config
    ports = [
        port_state(config, each, _answers(tcp_address(each.endpoint))) for each in config.listeners
    ]
    found = [
        *config_findings(file, (), loaded.warnings),
        *disk_findings(_disk(config.storage.directory)),
        *certificate_findings(certificate_states(config), time.time()),
        *port_findings(ports, runs=False),
        *_upstreams(config, environ),
        daemon,
    ]
    return worst_first(found)


def _disk(directory: str) -> DiskState:
    if not os.path.isdir(directory):
        make = f"{directory} is not there"
        return DiskState(directory, free=None, min_free=0, problems=[make])
    space = os.statvfs(directory)
    problems = [] if os.access(directory, os.W_OK) else [f"{directory} cannot be written"]
    free = space.f_bavail * space.f_frsize
    return DiskState(directory, free=free, min_free=0, problems=problems)


def _answers(address: tuple[str, int] | None) -> bool | None:
    if address is None:
        return None
    try:
        socket.create_connection(dialled(address), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _upstreams(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    proxied = any(environ.get(name) for name in _PROXIES)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = list(
            pool.map(
                lambda each: _left_out(config, each, proxied) or _upstream(each), config.upstreams
            )
        )
    skews = [skew for _, skew in asked if skew is not None]
    found = [clock_finding(skews)] if skews else []
    return [*found, *(finding for finding, _ in asked)]


def _left_out(
    config: Config, settings: UpstreamSettings, proxied: bool
) -> tuple[Finding, None] | None:
    """Why it is not asked: as the daemon does it, it cannot be; None if it can."""
    if settings.proxy not in (None, "direct") or (settings.proxy is None and proxied):
        how = "it is asked through a proxy"
    elif config.dns:
        how = "its name is resolved by 'dns'"
    elif settings.address_family != "any":
        how = f"only its addresses of 'address_family' {settings.address_family} are used"
    else:
        return None
    return look(settings.name, f"{how}, which only the daemon does", _STARTS), None


def _upstream(settings: UpstreamSettings) -> tuple[Finding, float | None]:
    """What its first URL answers, and how far our clock is ahead of its."""
    name, url = settings.name, urlsplit(settings.urls[0].url)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        why = f"{host} cannot be resolved: {error.strerror or error}"
        return bad(name, why, f"getent hosts {host}; or 'dns' in the configuration"), None
    try:
        status, skew = _ping(url, settings.ca_file)
    except (BypassError, OSError) as error:
        return bad(name, str(error), f"curl -v {url.geturl()}/v2/"), None
    if status not in (200, 401):
        return bad(name, f"{url.geturl()}/v2/ answers {status}", f"upstreams.{name}.urls"), skew
    return ok(name, f"{url.geturl()} answers at {found[0][4][0]}"), skew


def _ping(url: SplitResult, ca_file: str | None) -> tuple[int, float | None]:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    connection = RegistryConnection(url, context, time.monotonic() + _SECONDS)
    answer = connection.ask("GET", f"{url.path}/v2/", {"User-Agent": "regcachectl"})
    try:
        told = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return answer.status, None
    return answer.status, time.time() - told
