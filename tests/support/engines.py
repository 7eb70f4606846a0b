"""containerd and dockerd, started by the tests on sockets and folders of their own."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.certificates import Certificate
from tests.support.clients import PLAIN, Pulled, Trust
from tests.support.processes import (
    Server,
    Workspace,
    find_program,
    free_port,
    require,
    require_root,
    run,
)
from tests.support.registry_client import basic

_MOUNT_SETTINGS = 'mount --bind "$0" /etc/docker && exec "$@"'
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}")


class Containerd:
    """containerd with the native snapshotter; images are pulled with ``ctr``."""

    def __init__(self) -> None:
        require("containerd", "ctr")
        require_root("containerd")
        self._workspace = Workspace()
        path = self._workspace.path
        self._socket = path / "containerd.sock"
        config = self._workspace.file(
            "config.toml",
            f'version = 2\nroot = "{path}/root"\nstate = "{path}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self._socket}"\n'
            f'[ttrpc]\naddress = "{self._socket}.ttrpc"\n'
            f'[plugins."io.containerd.internal.v1.opt"]\npath = "{path}/opt"\n',
        )
        command = [find_program("containerd") or "containerd", "-c", str(config)]
        self._server = Server(command, path / "log")
        self._server.wait_ready(self._answers)

    def _ctr(self, *arguments: str, hosts_file: Path | None = None, check: bool = True) -> str:
        command = ["ctr", "-a", str(self._socket), *arguments]
        return run(command, hosts_file=hosts_file, check=check).stdout

    def _answers(self) -> bool:
        return self._socket.exists() and "Server:" in self._ctr("version", check=False)

    def hosts_directory(
        self,
        registry: str,
        address: str,
        trust: Trust = PLAIN,
        prefix: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        client: Certificate | None = None,
    ) -> Path:
        """A folder for ``--hosts-dir`` that sends what is asked of ``registry`` to the proxy.

        With a ``prefix`` the first component of the path names the registry.
        """
        url = f"{'https' if trust.tls else 'http'}://{address}"
        # The registry itself is a closed port: who gives up on the proxy fails at once.
        lines = ['server = "http://127.0.0.1:1"', ""]
        lines.append(f'[host."{url}{f"/v2/{prefix}" if prefix else ""}"]')
        lines.append('  capabilities = ["pull", "resolve"]')
        if prefix:
            lines.append("  override_path = true")
        if trust.tls:
            lines.append(f'  ca = "{trust.file}"')
        if client:
            lines.append(f'  client = [["{client.chain}", "{client.key}"]]')
        if headers:
            lines.append(f'  [host."{url}{f"/v2/{prefix}" if prefix else ""}".header]')
            lines += [f'    {key} = "{value}"' for key, value in headers.items()]
        name = f"hosts-{len(list(self._workspace.path.glob('hosts-*')))}"
        self._workspace.file(f"{name}/{registry}/hosts.toml", "\n".join(lines) + "\n")
        return self._workspace.path / name

    def pull(self, reference: str, *options: str, hosts_file: Path | None = None) -> Pulled:
        """Pull into an empty content store; all content that is there afterwards."""
        pull = ["images", "pull", "--snapshotter=native", *options, reference]
        self._ctr(*pull, hosts_file=hosts_file)
        listed = self._ctr("content", "ls", "-q").split()
        self._ctr("images", "rm", "--sync", reference)
        return Pulled(frozenset(line for line in listed if _DIGEST.match(line)))

    def close(self) -> None:
        """Stop it and remove its data."""
        self._server.stop()
        self._workspace.remove()


class Dockerd:
    """Runs dockerd with one registry-mirror: the server on ``mirror_port`` of 127.0.0.1.

    ``containerd_store`` chooses the newer of its two image stores; ``authority`` is the file
    of certificates that its system trusts; ``mirror`` the URL of another mirror; ``settings`` a
    folder in place of its /etc/docker; ``prefix`` stands before its command. ``configure`` changes
    etc/docker/daemon.json below the folder that it is given; there is no mirror in it then.
    ``names`` are further host names by address.
    """

    def __init__(
        self,
        containerd_store: bool,
        authority: Path | None = None,
        *,
        mirror: str = "",
        settings: Path | None = None,
        prefix: Sequence[str] = (),
        configure: Callable[[Path], None] | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        require("dockerd", "docker", "containerd")
        require_root("dockerd")
        self.mirror_port = free_port()
        self._workspace = Workspace("rcd-")
        path = self._workspace.path
        self._socket = path / "docker.sock"
        config = {
            "registry-mirrors": [mirror or f"http://127.0.0.1:{self.mirror_port}"],
            "insecure-registries": ["127.0.0.0/8"],
            "features": {"containerd-snapshotter": containerd_store},
            "storage-driver": "native" if containerd_store else "vfs",
        }
        if configure is not None:
            del config["registry-mirrors"], config["insecure-registries"]
        file = self._workspace.file("etc/docker/daemon.json", json.dumps(config))
        if configure is not None:
            configure(path)
        command = [find_program("dockerd") or "dockerd", f"--config-file={file}"]
        command += ["--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        command += ["--ip-masq=false", "--bridge=none", f"--data-root={path}/data"]
        command += [f"--exec-root={path}/exec", f"--pidfile={path}/pid"]
        command += [f"--host=unix://{self._socket}"]
        # Docker Hub's own name is this machine: who gives up on the mirror fails at once.
        lines = ["127.0.0.1 localhost registry-1.docker.io auth.docker.io index.docker.io"]
        lines += [f"{address} {' '.join(each)}" for address, each in (names or {}).items()]
        hosts = self._workspace.file("hosts", "".join(f"{line}\n" for line in lines))
        command = [*prefix, *command]
        if settings is not None:
            command = ["sh", "-c", _MOUNT_SETTINGS, str(settings), *command]
        environment = {"SSL_CERT_FILE": str(authority)} if authority else {}
        self._server = Server(command, path / "log", hosts_file=hosts, environment=environment)
        self._server.wait_ready(self._answers, timeout=60.0)

    def _docker(self, *arguments: str, check: bool = True) -> str:
        command = ["docker", "-H", f"unix://{self._socket}", *arguments]
        home = {"HOME": str(self._workspace.path), "DOCKER_CONFIG": str(self._workspace.path / "c")}
        return run(command, environment=home, check=check).stdout

    def login(self, address: str, account: tuple[str, str]) -> None:
        """``docker login``: dockerd checks the password, and the client keeps it."""
        name, password = account
        self._docker("login", "--username", name, "--password", password, address)

    def keep_login(self, address: str, account: tuple[str, str]) -> None:
        """Be logged in somewhere, whether that is right or not."""
        auths = {address: {"auth": basic(*account).removeprefix("Basic ")}}
        self._workspace.file("c/config.json", json.dumps({"auths": auths}))

    def forget_logins(self) -> None:
        """Be logged in nowhere."""
        (self._workspace.path / "c" / "config.json").unlink(missing_ok=True)

    def _answers(self) -> bool:
        return self._docker("info", "--format={{.ServerVersion}}", check=False).strip() != ""

    def pull(self, reference: str) -> Pulled:
        """Pull, look at what came, and remove it again."""
        self._docker("pull", "--quiet", reference)
        found = json.loads(self._docker("image", "inspect", reference))[0]
        self._docker("rmi", "--force", reference)
        digests = {name.partition("@")[2] for name in found["RepoDigests"]}
        return Pulled(frozenset({*digests, found["Id"]}), tuple(found["RootFS"]["Layers"]))

    def close(self) -> None:
        """Stop it and remove its data."""
        self._server.stop()
        self._workspace.remove()
