"""containerd as the kubelet of a node uses it: by CRI, with the files that client-config writes."""

from collections.abc import Callable
from pathlib import Path

import grpc

from tests.support.clients import Pulled
from tests.support.processes import Server, Workspace, find_program, require, require_root, run

_MOUNT_SETTINGS = 'mount --bind "$0" /etc/containerd && exec "$@"'
#: Of k8s.io/cri-api, runtime/v1/api.proto. All fields that are used here are strings and messages.
_SERVICE = "/runtime.v1.ImageService/"
_LENGTH_DELIMITED = 2
_DEADLINE = 120.0


def _number(value: int) -> bytes:
    """A varint."""
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _field(number: int, content: bytes | str) -> bytes:
    """One field of a message, as protobuf has it; nothing for what is empty."""
    encoded = content.encode() if isinstance(content, str) else content
    if not encoded:
        return b""
    return _number(number << 3 | _LENGTH_DELIMITED) + _number(len(encoded)) + encoded


class PullError(Exception):
    """The runtime could not pull; its own words."""


class Node:
    """containerd with its CRI plugin, and no network for containers, which nothing here runs.

    :param configure: writes below the folder that it is given, which stands for /.
    """

    def __init__(self, configure: Callable[[Path], None]) -> None:
        require("containerd", "ctr", "unshare")
        require_root("containerd")
        self._workspace = Workspace()
        path = self._workspace.path
        configure(path)
        self.settings = path / "etc/containerd"
        self._socket = path / "containerd.sock"
        config = self.settings / "config.toml"
        first, rest = config.read_text(encoding="utf-8").split("version = 2\n")
        config.write_text(
            f'{first}version = 2\nroot = "{path}/root"\nstate = "{path}/state"\n{rest}'
            f'[grpc]\n  address = "{self._socket}"\n[ttrpc]\n  address = "{self._socket}.ttrpc"\n'
            f'[plugins."io.containerd.internal.v1.opt"]\n  path = "{path}/opt"\n'
            '[plugins."io.containerd.grpc.v1.cri".containerd]\n  snapshotter = "native"\n',
            encoding="utf-8",
        )
        program = find_program("containerd") or "containerd"
        own = ["unshare", "--mount", "sh", "-c", _MOUNT_SETTINGS, str(self.settings)]
        self._server = Server([*own, program], path / "log")
        self._channel = grpc.insecure_channel(f"unix:{self._socket}")
        self._server.wait_ready(self._answers)

    def _call(self, name: str, request: bytes) -> bytes:
        call = self._channel.unary_unary(
            f"{_SERVICE}{name}", request_serializer=None, response_deserializer=None
        )
        answer: bytes = call(request, timeout=_DEADLINE, wait_for_ready=True)
        return answer

    def _answers(self) -> bool:
        try:
            self._call("ListImages", b"")
        except grpc.RpcError:
            return False
        return True

    def pull(self, image: str, account: tuple[str, str] = ("", "")) -> Pulled:
        """Pull, look at what came, and remove it again; an account is that of a pull secret.

        :raises PullError: in the words that the kubelet shows as ErrImagePull.
        """
        spec = _field(1, _field(1, image))
        login = _field(1, account[0]) + _field(2, account[1])
        try:
            self._call("PullImage", spec + _field(2, login))
        except grpc.RpcError as error:
            raise PullError(error.details()) from error
        content = self._ctr("content", "ls", "-q").split()
        self._ctr("images", "rm", "--sync", *self._ctr("images", "ls", "-q").split())
        return Pulled(frozenset(content))

    def _ctr(self, *arguments: str) -> str:
        """Look at what the plugin has, in its name space."""
        return run(["ctr", "-a", str(self._socket), "-n", "k8s.io", *arguments]).stdout

    def close(self) -> None:
        """Stop it and remove its data."""
        self._channel.close()
        self._server.stop()
        self._workspace.remove()
