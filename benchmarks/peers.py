"""The caches that are compared: how each is configured, started and wiped.

Each instance has one listener, plain or TLS, and one upstream. What its users would have is what
it gets: access logs on, files behind the page cache. nginx and Varnish cannot ask for tokens, so
they send the right one with every request.
"""

import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from benchmarks.certificate import Certificate
from benchmarks.processes import AT_REST, Server, ServerFailedError, free_port
from benchmarks.tokens import TOKEN
from benchmarks.upstreams import CHECKOUT

NAMES = {
    "D": "docker-registry in proxy mode",
    "N": "nginx: proxy_cache, proxy_cache_lock, sendfile",
    "V": "Varnish, in memory",
    "O": "regcache of another checkout",
    "R": "regcache",
}

_NGINX = """
daemon off; {user}
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  access_log {folder}/access.log;
  sendfile on; tcp_nopush on;
  keepalive_requests 1000000;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=bench:32m max_size=20g use_temp_path=off;
  upstream registry {{ server 127.0.0.1:{upstream}; keepalive 32; }}
  server {{
    listen {address}:{port} backlog=4096 {tls};
    {certificate}
    location / {{
      proxy_pass {scheme}://registry;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer {token}";
      proxy_cache bench;
      proxy_cache_valid 200 1h;
      proxy_cache_lock on;
      proxy_cache_lock_age 10m;
      proxy_cache_lock_timeout 10m;
    }}
  }}
}}
"""

_DISTRIBUTION = """
version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http:
  addr: {address}:{port}
  secret: benchmark
  {tls}
proxy: {{remoteurl: "{scheme}://127.0.0.1:{upstream}"}}
"""

_VARNISH = """
vcl 4.1;
backend registry {{ .host = "127.0.0.1"; .port = "{upstream}"; .max_connections = 64; }}
sub vcl_backend_fetch {{ set bereq.http.Authorization = "Bearer {token}"; }}
sub vcl_backend_response {{ set beresp.ttl = 1h; }}
"""

_REGCACHE = """
listeners:
  - endpoint: tcp:{port}:interface={address}
    {tls}
admin: {admin}
storage: {{directory: {folder}/cache, max_size: 20GiB, max_blob: 10GiB, min_free: 64MiB}}
upstreams:
  upstream.test: {{urls: ["{scheme}://127.0.0.1:{upstream}"]{trusted}}}
default_upstream: upstream.test
{more}
"""


def python_of(checkout: Path) -> Path:
    """The interpreter of a checkout's own environment; ours, if it has none."""
    own = checkout / ".venv" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


def environment_of(checkout: Path) -> dict[str, str]:
    """What lets an interpreter find a checkout's regcache before one that is installed.

    Bytecode is kept, as it is beside what is installed.
    """
    return {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": ""}


def compile_checkout(checkout: Path) -> None:
    """Compile the regcache of another checkout, once it is seen that its daemon would run that.

    :raises ServerFailedError: if it has none, or another one is found first.
    """
    python, environment = str(python_of(checkout)), {**os.environ, **environment_of(checkout)}
    done = subprocess.run(
        [python, "-c", "import regcache.tap; print(regcache.__file__)"],
        capture_output=True,
        cwd="/",
        env=environment,
        text=True,
    )
    found = done.stdout.strip()
    if found != str(checkout / "regcache" / "__init__.py"):
        reason = f"{found} is found" if found else done.stderr.strip().rpartition("\n")[2]
        raise ServerFailedError(f"{checkout} has no regcache that could be started: {reason}")
    subprocess.run([python, "-m", "compileall", "-qq", str(checkout / "regcache")], env=environment)


class Peer(ABC):
    """One cache on a free port.

    :param folder: for its files, the cache among them.
    :param upstream: the port of its upstream.
    :param certificate: of its own listener; None for a plain one.
    :param upstream_certificate: of an upstream that speaks TLS; None for a plain one.
        docker-registry and regcache check it, nginx does not.
    :ivar address: where it listens.
    :ivar sets_aside: keep what it stored in another folder, for whoever removes all of them. ext4
        passes over the inodes of files that were removed within the last minutes, one by one,
        for each new file.
    """

    name: str
    address = "127.0.0.1"
    sets_aside = False

    def __init__(
        self,
        folder: Path,
        upstream: int,
        certificate: Certificate | None = None,
        upstream_certificate: Certificate | None = None,
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self.certificate = certificate
        self.upstream_certificate = upstream_certificate
        self._upstream = upstream
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """The running program."""
        assert self._server is not None, "not started"
        return self._server

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._server is not None

    def start(self) -> float:
        """Start it on what its folder holds.

        :returns: seconds until it answered.
        """
        self._server = Server(
            self._command(), self.folder / "log", self._environment(), self._at_rest()
        )
        return self._server.wait_ready(
            self.port, tls=self.certificate is not None, host=self.address
        )

    def stop(self) -> None:
        """End it. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def wipe(self) -> None:
        """Remove what it stored, or at least from where it was."""
        if self.sets_aside and self.folder.exists():
            self.folder.rename(f"{self.folder}-{time.monotonic_ns()}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, name: str, form: str, **values: object) -> str:
        path = self.folder / name
        path.write_text(
            form.format(
                folder=self.folder,
                address=self.address,
                port=self.port,
                upstream=self._upstream,
                scheme="https" if self.upstream_certificate else "http",
                token=TOKEN,
                **values,
            )
        )
        return str(path)

    def _environment(self) -> dict[str, str]:
        return {}

    def _at_rest(self) -> float:
        return AT_REST

    @abstractmethod
    def _command(self) -> list[str]:
        """Write the configuration; the command line."""


class Distribution(Peer):
    """Debian's docker-registry."""

    name = "D"

    def _environment(self) -> dict[str, str]:
        trusted = self.upstream_certificate
        return {"SSL_CERT_FILE": str(trusted.chain)} if trusted else {}

    def _command(self) -> list[str]:
        pair = self.certificate
        tls = f"tls: {{certificate: {pair.chain}, key: {pair.key}}}" if pair else ""
        return ["docker-registry", "serve", self._file("config.yml", _DISTRIBUTION, tls=tls)]


class Nginx(Peer):
    """nginx with as many workers as cores."""

    name = "N"

    def _command(self) -> list[str]:
        pair = self.certificate
        names = f"ssl_certificate {pair.chain}; ssl_certificate_key {pair.key};" if pair else ""
        user = "user root;" if os.geteuid() == 0 else ""
        config = self._file(
            "nginx.conf", _NGINX, tls="ssl" if pair else "", certificate=names, user=user
        )
        return ["nginx", "-p", str(self.folder), "-e", "stderr", "-c", config]


class Varnish(Peer):
    """Varnish, everything in memory; it has no TLS of its own."""

    name = "V"

    def _command(self) -> list[str]:
        vcl = self._file("bench.vcl", _VARNISH)
        options = ["-F", "-j", "none", "-n", str(self.folder / "run"), "-f", vcl]
        return ["varnishd", *options, "-a", f"{self.address}:{self.port}", "-s", "malloc,4G"]


class Regcache(Peer):
    """The daemon as users run it.

    :ivar watched: run it under the watchdog of :mod:`benchmarks.watchdog` instead.
    :ivar http2: offer HTTP/2, where it has TLS.
    :ivar more: further lines of configuration.
    :ivar admin: what that has of the admin endpoint.
    :ivar twistd_options: further options of twistd.
    :ivar checkout: whose daemon it is.
    """

    name = "R"
    watched = False
    http2 = False
    more = ""
    admin = "{endpoint: null}"
    twistd_options: Sequence[str] = ()
    checkout = CHECKOUT

    @property
    def gaps(self) -> Path:
        """Where the watchdog writes."""
        return self.folder / "gaps"

    def _environment(self) -> dict[str, str]:
        return {**environment_of(self.checkout), "PYTHONUNBUFFERED": "1"}

    def _at_rest(self) -> float:
        # The watchdog alone takes 3 to 4 % of a core: without that it would never be at rest.
        return 0.1 if self.watched else AT_REST

    def _command(self) -> list[str]:
        pair = self.certificate
        tls = f"tls: {{certificates: [{{chain: {pair.chain}, key: {pair.key}}}]}}" if pair else ""
        tls += "\n    http2: true" if pair and self.http2 else ""
        trusted = (
            f", ca_file: {self.upstream_certificate.chain}" if self.upstream_certificate else ""
        )
        config = self._file(
            "regcache.yml", _REGCACHE, tls=tls, trusted=trusted, more=self.more, admin=self.admin
        )
        twistd = [str(python_of(self.checkout).with_name("twistd"))]
        if self.watched:
            twistd = [sys.executable, "-m", "benchmarks.watchdog", str(self.gaps)]
        return [*twistd, "-n", "--pidfile=", *self.twistd_options, "regcache", "-c", config]


class OtherRegcache(Regcache):
    """The daemon of another checkout, started as ours is: both must know the configuration."""

    name = "O"


KINDS: dict[str, type[Peer]] = {
    kind.name: kind for kind in (Distribution, Nginx, Varnish, OtherRegcache, Regcache)
}
