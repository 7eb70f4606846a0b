"""The real servers: Debian's docker-registry as an upstream, and regcache itself."""

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.certificates import Certificate
from tests.support.processes import (
    CHECKOUT,
    Server,
    Workspace,
    find_program,
    free_port,
    require,
    wait_until,
)
from tests.support.registry_client import RegistryClient
from tests.support.service_manager import ServiceManager

_ACCESS = re.compile(
    r'"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/[\d.]+" (?P<status>\d{3}) (?P<size>\d+)'
)
_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")
_CONTENT = re.compile(r"^/v2/(?P<repository>.+)/(?P<kind>blobs|manifests)/(?P<reference>[^/?]+)")


@dataclass(frozen=True)
class LoggedRequest:
    """One line of an upstream's access log."""

    method: str
    path: str
    status: int
    size: int

    @property
    def kind(self) -> str:
        """``blobs``, ``manifests``, or an empty string for anything else."""
        found = _CONTENT.match(self.path)
        return found["kind"] if found else ""

    @property
    def reference(self) -> str:
        """The tag or digest asked for, or an empty string."""
        found = _CONTENT.match(self.path)
        return found["reference"] if found else ""

    @property
    def is_body(self) -> bool:
        """Whether a blob or the body of a manifest was sent, even in part."""
        return self.method == "GET" and self.status in (200, 206) and self.kind != ""


class DockerRegistry:
    """Debian's docker-registry on a free port of 127.0.0.1, with an access log to read.

    ``basic`` is an account that it demands (htpasswd, bcrypt); ``token`` the section ``auth.token``
    of its configuration.
    """

    def __init__(
        self,
        basic: tuple[str, str] | None = None,
        token: Mapping[str, Any] | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        require("docker-registry", *(["htpasswd"] if basic else []))
        self._workspace = Workspace()
        self._debug_port = free_port()
        self.credentials = basic
        config = self._config(certificate)
        if basic:
            config["auth"] = {"htpasswd": {"realm": "test", "path": self._htpasswd(*basic)}}
        if token:
            config["auth"] = {"token": dict(token)}
        file = self._workspace.file("config.yml", yaml.safe_dump(config))
        program = find_program("docker-registry") or "docker-registry"
        self.server = Server([program, "serve", str(file)], self._workspace.path / "log")
        self.server.wait_ready(lambda: _LISTENING.search(self.server.log()) is not None)
        found = _LISTENING.search(self.server.log())
        assert found is not None
        self.address = found[1]
        self.url = f"{'https' if certificate else 'http'}://{self.address}"

    def _config(self, certificate: Certificate | None) -> dict[str, Any]:
        http: dict[str, Any] = {
            "addr": "127.0.0.1:0",
            "relativeurls": True,
            "secret": secrets.token_hex(8),
            "debug": {"addr": f"127.0.0.1:{self._debug_port}"},
        }
        if certificate:
            http["tls"] = {"certificate": str(certificate.chain), "key": str(certificate.key)}
        return {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": str(self._workspace.path / "data")},
                # By default it starts at a random minute, and breaks uploads under way.
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": http,
        }

    def _htpasswd(self, username: str, password: str) -> str:
        program = find_program("htpasswd") or "htpasswd"
        line = subprocess.run(
            [program, "-Bbn", username, password], check=True, capture_output=True, text=True
        ).stdout
        return str(self._workspace.file("htpasswd", line))

    def client(self, headers: Mapping[str, str] | None = None) -> RegistryClient:
        """A client that may push here."""
        return RegistryClient(self.url, self.credentials, headers=headers)

    def requests(self) -> list[LoggedRequest]:
        """All requests whose answers have begun, in the order of their ends.

        A client may have an answer before it is in the log: waits until all of them are.
        """
        self.server.assert_running()
        wait_until(lambda: self._handlers() == 0, "the upstream has ended all of its answers")
        found = [
            LoggedRequest(hit["method"], hit["path"], int(hit["status"]), int(hit["size"]))
            for hit in _ACCESS.finditer(self.server.log())
        ]
        return found

    def _handlers(self) -> int:
        """How many requests it is busy with, by what its threads do; without this one."""
        debug = RegistryClient(f"http://127.0.0.1:{self._debug_port}")
        threads = debug.get("/debug/pprof/goroutine?debug=2").body
        return threads.count(b"net/http.serverHandler.ServeHTTP(") - 1

    def close(self) -> None:
        """Stop it and remove its data."""
        self.server.kill()
        self._workspace.remove()


class Regcache:
    """The daemon, run as users run it: ``twistd -n regcache -c FILE``.

    ``config`` is what the YAML file holds; listeners, admin endpoint and storage are filled in
    where it leaves them out. ``REGCACHE_TWISTD`` names another twistd than the interpreter's own.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        certificate: Certificate | None = None,
        port: int | None = None,
    ) -> None:
        self._workspace = Workspace()
        self.port = port or free_port()
        self.tls_port, self.admin_port = free_port(), free_port()
        self.directory = self._workspace.path / "cache"
        self.directory.mkdir()
        self.config: dict[str, Any] = {
            "listeners": self._listeners(certificate),
            "admin": {"endpoint": f"tcp:{self.admin_port}:interface=127.0.0.1"},
            "storage": {
                "directory": str(self.directory),
                "max_size": "20GiB",
                "max_blob": "10GiB",
                "min_free": "1MiB",
            },
            **config,
        }
        self.environment: dict[str, str] = {}
        self.open_files = ""
        self.prefix: list[str] = []
        self.manager: ServiceManager | None = None
        self.server: Server | None = None

    def _listeners(self, certificate: Certificate | None) -> list[dict[str, Any]]:
        listeners: list[dict[str, Any]] = [{"endpoint": f"tcp:{self.port}:interface=127.0.0.1"}]
        if certificate is not None:
            pair = {"chain": str(certificate.chain), "key": str(certificate.key)}
            listeners.append(
                {
                    "endpoint": f"tcp:{self.tls_port}:interface=127.0.0.1",
                    "tls": {"certificates": [pair]},
                }
            )
        return listeners

    @property
    def address(self) -> str:
        """Host and port of the plain listener."""
        return f"127.0.0.1:{self.port}"

    @property
    def tls_address(self) -> str:
        """Host and port of the TLS listener; the certificate names 127.0.0.1 too."""
        return f"127.0.0.1:{self.tls_port}"

    @property
    def process(self) -> Server:
        """The running daemon."""
        assert self.server is not None
        return self.server

    def client(self, **options: Any) -> RegistryClient:
        """A client of the plain listener."""
        return RegistryClient(f"http://{self.address}", **options)

    def start(self) -> "Regcache":
        """Start it, also again on the same cache, and wait until ``/v2/`` answers."""
        self.launch()
        self.process.wait_ready(self._answers)
        return self

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        plain = json.loads(json.dumps(self.config))  # so that YAML needs no aliases
        file = self.file = self._workspace.file("regcache.yml", yaml.safe_dump(plain))
        twistd = os.environ.get("REGCACHE_TWISTD") or str(Path(sys.executable).parent / "twistd")
        limit = ["prlimit", f"--nofile={self.open_files}"] if self.open_files else []
        manager = [*self.prefix, *(self.manager.command if self.manager else [])]
        self.server = Server(
            [*limit, *manager, twistd, "-n", "--pidfile=", "regcache", "-c", str(file)],
            self._workspace.path / "log",
            environment={
                "PYTHONPATH": str(CHECKOUT),
                "PYTHONUNBUFFERED": "1",
                **(self.manager.environment if self.manager else {}),
                **self.environment,
            },
            cwd=self._workspace.path,
            descriptors=self.manager.descriptors if self.manager else (),
        )

    def _answers(self) -> bool:
        try:
            return self.client(timeout=2.0).get("/v2/").status in (200, 401)
        except OSError:
            return False

    def log(self) -> str:
        """What the daemon wrote on stdout and stderr, over all its starts."""
        return self.process.log()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series of a metric that carry ``labels``; 0 where there are none."""
        text = RegistryClient(f"http://127.0.0.1:{self.admin_port}").get("/metrics").body.decode()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [
            line
            for line in text.splitlines()
            if re.match(rf"{name}[{{ ]", line) and all(each in line for each in wanted)
        ]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def sockets(self) -> int:
        """How many sockets the daemon has open, of /proc."""
        return len([name for name in self._open_files() if name.startswith("socket:")])

    def cache_files(self) -> int:
        """How many files of blobs it has open, finished and growing."""
        folders = ("/blobs/", "/partial/")
        return len([name for name in self._open_files() if any(one in name for one in folders)])

    def _open_files(self) -> list[str]:
        names = []
        for each in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                names.append(os.readlink(each))
        return names

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        return self.process.stop()

    def close(self) -> None:
        """End it in any state, and remove its cache."""
        if self.server is not None:
            self.server.kill()
        self._workspace.remove()
