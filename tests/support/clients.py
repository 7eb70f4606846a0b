"""Real clients, each run in a folder of its own: what they are given, and what arrived.

A client's ``pull`` starts from nothing each time, so that a second pull asks for all again.
Every ``pull`` returns the digests of what the client holds afterwards, as the client says it or
as the files it wrote hash.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.images import sha256
from tests.support.processes import Workspace, require, run


@dataclass(frozen=True)
class Trust:
    """How a client reaches the proxy: plain HTTP, or TLS with the certificate of an authority."""

    folder: Path | None = None
    file: Path | None = None

    @property
    def tls(self) -> bool:
        """Whether it is TLS."""
        return self.file is not None


PLAIN = Trust()


@dataclass(frozen=True)
class Pulled:
    """What a client holds after a pull."""

    digests: frozenset[str] = frozenset()
    diff_ids: tuple[str, ...] = ()


@dataclass
class Client:
    """One client program and the options that all its runs share.

    ``conf`` is a registries.conf that is there already.
    """

    trust: Trust = PLAIN
    hosts_file: Path | None = None
    authfile: Path | None = None
    mirrors: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[str, ...] = ()
    timeout: float = 60.0
    conf: Path | None = None

    def __post_init__(self) -> None:
        require(*self.programs)

    def run(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run a command with ``folder`` as its home; its standard output."""
        own = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
        own |= environment or {}
        return run(
            command, environment=own, hosts_file=self.hosts_file, timeout=self.timeout
        ).stdout

    def mirror_file(self, workspace: Workspace) -> Path | None:
        """A registries.conf that sends what is asked of a registry to the proxy instead."""
        if self.conf is not None or not self.mirrors:
            return self.conf
        insecure = str(not self.trust.tls).lower()
        tables = [
            f'[[registry]]\nlocation = "{name}"\n'
            f'[[registry.mirror]]\nlocation = "{place}"\ninsecure = {insecure}\n'
            for name, place in self.mirrors.items()
        ]
        return workspace.file(
            "registries.conf", "unqualified-search-registries = []\n" + "\n".join(tables)
        )

    def trust_options(self, prefix: str = "") -> list[str]:
        """The options of the containers/image family for plain HTTP or an authority."""
        if self.trust.tls:
            return [f"--{prefix}cert-dir={self.trust.folder}"]
        return [f"--{prefix}tls-verify=false"]

    def login_options(self) -> list[str]:
        """The option of the containers/image family that names the file of logins."""
        return [f"--authfile={self.authfile}"] if self.authfile else []

    def login(self, address: str, account: tuple[str, str]) -> None:
        """Log in as users do: the client checks the password, and keeps it in its file."""
        assert self.authfile is not None
        command = [self.programs[0], "login", *self.login_options(), *self.trust_options()]
        command += ["--username", account[0], "--password", account[1], address]
        workspace = Workspace()
        try:
            self.run(command, workspace.path)
        finally:
            workspace.remove()


def file_digests(paths: Iterable[Path]) -> frozenset[str]:
    """The digests of files, from their bytes."""
    return frozenset(sha256(path.read_bytes()) for path in paths if path.is_file())


@dataclass
class Skopeo(Client):
    """``skopeo copy --all`` into a folder: all architectures, every byte kept as it came."""

    programs: tuple[str, ...] = ("skopeo",)

    def pull(self, reference: str) -> Pulled:
        """Copy the image and hash every file that arrived."""
        workspace = Workspace()
        try:
            mirrors = self.mirror_file(workspace)
            registries = [f"--registries-conf={mirrors}"] if mirrors else []
            target = workspace.path / "image"
            self.run(
                [
                    *("skopeo", "--insecure-policy", *registries, "copy", "--all"),
                    *(*self.trust_options("src-"), *self.login_options()),
                    *(f"docker://{reference}", f"dir:{target}"),
                ],
                workspace.path,
            )
            return Pulled(file_digests(target.iterdir()))
        finally:
            workspace.remove()

    def tags(self, repository: str) -> list[str]:
        """The tags as ``skopeo list-tags`` shows them."""
        workspace = Workspace()
        try:
            command = ["skopeo", "list-tags", *self.trust_options(), f"docker://{repository}"]
            return list(json.loads(self.run(command, workspace.path))["Tags"])
        finally:
            workspace.remove()


def podman_command(folder: Path) -> list[str]:
    """podman with all of its data in a folder."""
    command = ["podman", f"--root={folder}/root", f"--runroot={folder}/run"]
    return [*command, "--storage-driver=vfs", "--cgroup-manager=cgroupfs"]


@dataclass
class Podman(Client):
    """``podman pull`` with the vfs storage driver."""

    programs: tuple[str, ...] = ("podman",)

    def pull(self, reference: str) -> Pulled:
        """Pull the image of this machine's architecture into an empty store."""
        workspace = Workspace()
        try:
            podman = podman_command(workspace.path)
            mirrors = self.mirror_file(workspace)
            environment = {"CONTAINERS_REGISTRIES_CONF": str(mirrors)} if mirrors else {}
            options = self.trust_options() if self.trust.tls or not mirrors else []
            options += self.login_options()
            self.run([*podman, "pull", "-q", *options, reference], workspace.path, environment)
            shown = self.run([*podman, "image", "inspect", reference], workspace.path)
            found = json.loads(shown)[0]
            digests = {name.partition("@")[2] for name in found["RepoDigests"]}
            return Pulled(
                frozenset({*digests, found["Digest"], "sha256:" + found["Id"]}),
                tuple(found["RootFS"]["Layers"]),
            )
        finally:
            workspace.remove()


@dataclass
class Buildah(Client):
    """``buildah pull`` with the vfs storage driver."""

    programs: tuple[str, ...] = ("buildah",)

    def pull(self, reference: str) -> Pulled:
        """Pull the image of this machine's architecture into an empty store."""
        workspace = Workspace()
        try:
            buildah = ["buildah", f"--root={workspace.path}/root", "--storage-driver=vfs"]
            buildah += [f"--runroot={workspace.path}/run"]
            mirrors = self.mirror_file(workspace)
            environment = {"CONTAINERS_REGISTRIES_CONF": str(mirrors)} if mirrors else {}
            options = self.trust_options() if self.trust.tls or not mirrors else []
            options += self.login_options()
            self.run([*buildah, "pull", "-q", *options, reference], workspace.path, environment)
            shown = self.run([*buildah, "inspect", "--type=image", reference], workspace.path)
            found = json.loads(shown)
            return Pulled(
                frozenset({found["FromImageDigest"], "sha256:" + found["FromImageID"]}),
                tuple(found["OCIv1"]["rootfs"]["diff_ids"]),
            )
        finally:
            workspace.remove()


@dataclass
class Oras(Client):
    """``oras cp`` into an OCI layout: every byte kept as it came."""

    programs: tuple[str, ...] = ("oras",)

    def pull(self, reference: str, *, referrers: bool = False) -> Pulled:
        """Copy the image (with what refers to it, if wanted) and hash every blob that arrived."""
        workspace = Workspace()
        try:
            options = self.trust_options("from-")
            if self.authfile:
                options.append(f"--from-registry-config={self.authfile}")
            if referrers:
                options.append("--recursive")
            target = workspace.path / "layout"
            self.run(
                ["oras", "cp", *options, reference, "--to-oci-layout", f"{target}:pulled"],
                workspace.path,
            )
            return Pulled(file_digests(target.glob("blobs/*/*")))
        finally:
            workspace.remove()

    def trust_options(self, prefix: str = "") -> list[str]:
        """How oras is told of plain HTTP or an authority."""
        if self.trust.tls:
            return [f"--{prefix}ca-file={self.trust.file}"]
        return [f"--{prefix}plain-http"]

    def login_options(self) -> list[str]:
        """How oras is told of the file of logins."""
        return [f"--registry-config={self.authfile}"] if self.authfile else []

    def referrers(self, reference: str) -> list[str]:
        """The digests that ``oras discover`` shows for an image."""
        workspace = Workspace()
        try:
            options = self.trust_options()
            command = ["oras", "discover", *options, "--format=json", reference]
            found = json.loads(self.run(command, workspace.path))
            return [entry["digest"] for entry in found["manifests"]]
        finally:
            workspace.remove()


def hosts_file(workspace: Workspace, *names: str) -> Path:
    """A hosts file in which every name is this machine."""
    lines = [f"127.0.0.1 {name}" for name in ("localhost", *names)]
    return workspace.file("hosts", "\n".join(lines) + "\n")
