"""The registry that everybody fetches from: fast (nginx, plain and TLS), or behind a paced link."""

import os
import resource
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.certificate import Certificate
from benchmarks.content import MANIFEST_TYPE, TAG, Content
from benchmarks.processes import Server, free_port
from benchmarks.tokens import CHALLENGE, TOKEN_ANSWER

CHECKOUT = Path(__file__).resolve().parents[1]

_CONNECTIONS = 4096
_DESCRIPTORS = min(40_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

_FAST = """
daemon off; {user}
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/upstream.pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
http {{
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  log_format line '$request_method $uri $status $body_bytes_sent';
  access_log {log} line;
  sendfile on; tcp_nopush on; etag on;
  open_file_cache max={kept_open};
  keepalive_requests 1000000;
  types {{ }}
  map $uri $content_digest {{
    "~/manifests/{tag}$" {manifest};
    "~/(?<last>sha256:[0-9a-f]+)$" $last;
  }}
  map $scheme $challenge {{
    https '{tls_challenge}';
    default '{challenge}';
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls_port} ssl backlog=4096;
    ssl_certificate {chain}; ssl_certificate_key {key};
    root {root};
    location = /token {{ default_type application/json; return 200 '{token}'; }}
    location = /v2/ {{
      default_type application/json;
      if ($http_authorization = "") {{
        add_header WWW-Authenticate $challenge always; return 401 '{{}}';
      }}
      return 200 '{{}}';
    }}
    location ~ /manifests/ {{
      default_type {manifest_type};
      if ($http_authorization = "") {{
        add_header WWW-Authenticate $challenge always; return 401;
      }}
      add_header Docker-Content-Digest $content_digest;
    }}
    location / {{
      default_type application/octet-stream;
      if ($http_authorization = "") {{
        add_header WWW-Authenticate $challenge always; return 401;
      }}
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Traffic:
    """What an upstream was asked for and sent in some time."""

    requests: int
    blob_gets: int
    bytes: int


class Upstream:
    """One of the two, running.

    :ivar port: on 127.0.0.1.
    :ivar tls_port: the same over TLS; only of the fast one.
    """

    def __init__(self, folder: Path, content: Content) -> None:
        self.port = free_port()
        self.tls_port = free_port()
        self._folder = folder
        self._content = content
        self._log = folder / "access.log"
        self._server: Server | None = None
        self._mark = 0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def start_fast(self, certificate: Certificate) -> "Upstream":
        """nginx, from the page cache; by sendfile where it is asked over a plain connection."""
        config = self._folder / "nginx.conf"
        config.write_text(
            _FAST.format(
                folder=self._folder,
                user="user root;" if os.geteuid() == 0 else "",
                log=self._log,
                port=self.port,
                tls_port=self.tls_port,
                chain=certificate.chain,
                key=certificate.key,
                root=self._content.root,
                tag=TAG,
                manifest=self._content.manifest,
                manifest_type=MANIFEST_TYPE,
                token=TOKEN_ANSWER.decode(),
                challenge=CHALLENGE.format(scheme="http", host=f"127.0.0.1:{self.port}"),
                tls_challenge=CHALLENGE.format(scheme="https", host=f"127.0.0.1:{self.tls_port}"),
                connections=_CONNECTIONS,
                descriptors=_DESCRIPTORS,
                kept_open=_DESCRIPTORS - 2 * _CONNECTIONS,
            )
        )
        nginx = ["nginx", "-p", str(self._folder), "-e", "stderr", "-c", str(config)]
        return self._start(nginx)

    def start_paced(self, rate: float, delay: float) -> "Upstream":
        """Late by ``delay`` seconds, at ``rate`` bytes per second over all connections."""
        module = [sys.executable, "-m", "benchmarks.paced"]
        values = [self._content.root, self.port, rate, delay, self._log]
        return self._start([*module, *map(str, values)])

    def _start(self, command: list[str]) -> "Upstream":
        environment = {"PYTHONPATH": str(CHECKOUT)}
        self._server = Server(command, self._folder / "output", environment)
        self._server.wait_ready(self.port)
        return self

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.stop()

    def pin(self, cores: Iterable[int]) -> None:
        """Let it run on these cores only."""
        if self._server is not None:
            self._server.pin(cores)

    def mark(self) -> None:
        """Count from here on."""
        self._mark = self._log.stat().st_size if self._log.exists() else 0

    def traffic(self) -> Traffic:
        """What came since the mark. An answer is counted once it has ended."""
        with self._log.open("rb") as file:
            file.seek(self._mark)
            lines = [line.split() for line in file.read().decode().splitlines()]
        gets = [line for line in lines if line[0] == "GET" and "/blobs/" in line[1]]
        served = [line for line in gets if line[2] == "200"]
        return Traffic(len(lines), len(served), sum(int(line[3]) for line in lines))
