"""Which files a guide may have, which keys they may set, and what it may say to type.

What answers ``GET client-config`` may be anything, and what is written is read by programs that run
as root: a runtime that CRI-O starts, or a socket that dockerd opens, is a setting like a mirror. So
only those files are taken that a guide of this version can have, with the keys that it can set;
where a path or a value has a host in it, anything that is a host.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import yaml

from regcache.client_setup import buildkit, containerd, containers, docker, k3s
from regcache.client_setup.steps import ANY_NAME
from regcache.light_dataclass import dataclass
from regcache.parsing import load_json

_LARGEST = 1024 * 1024
_MOST_TOLD = 200
_ADDRESS = (
    r"(?:\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z]+)?\]|[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.))*)"
    r"(?::[0-9]{1,5})?"
)
_CERTIFICATES = re.compile(
    r"(?:-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n)+"
)


class StrangeFileError(ValueError):
    """An answer has a file, or a command, that no guide has; the text is one line."""


Keys: TypeAlias = "re.Pattern[str] | Mapping[str, Keys]"
"""What a value, or each of a list, may be; or the keys of a table, ``*`` for any other name."""


@dataclass(frozen=True, slots=True)
class GuideFile:
    """A file that a guide can have.

    :ivar path: with ``{}`` for a host and port, or a registry.
    :ivar read: makes values of its text. :raises ValueError: if it cannot.
    :ivar is_part: only a part of it is told.
    """

    path: str
    read: Callable[[str], object]
    keys: Keys
    is_part: bool = False

    def is_at(self, path: str) -> bool:
        """Whether a path is one of its own."""
        return _path(self.path).fullmatch(path) is not None

    def fault(self, text: str) -> str:
        """What it may not have; "" for nothing. Values are not told: one may be a password."""
        try:
            text.encode("utf-8")
            return _strange(self.read(text), self.keys, "")
        except (ValueError, RecursionError):
            return "it cannot be read"


def check_files(tool: str, blocks: Sequence[Mapping[str, Any]]) -> None:
    """Check the files and commands of a guide, before an account is filled in.

    :param blocks: of a guide, as the API has them.
    :raises StrangeFileError: if no guide for this program has one of them.
    """
    seen: set[str] = set()
    for each in blocks:
        if each["kind"] != "file":
            _check_commands(each["text"])
            continue
        path = _checked_path(tool, each)
        if path in seen:
            raise StrangeFileError(f"{path} is there twice")
        seen.add(path)


def _check_commands(text: object) -> None:
    for line in str(text).splitlines():
        if _COMMAND.fullmatch(line) is None:
            raise StrangeFileError(f"{ascii(line)[:_MOST_TOLD]} is no command of a guide")


def _checked_path(tool: str, block: Mapping[str, Any]) -> str:
    path, text = block["path"], block["text"]
    known = next((one for one in FILES[tool] if isinstance(path, str) and one.is_at(path)), None)
    if known is None:
        raise StrangeFileError(f"{ascii(path)[:_MOST_TOLD]} is no file that is set up for {tool}")
    if block["part"] is not known.is_part:
        raise StrangeFileError(f"{path}: {'not ' if known.is_part else ''}all of it is told")
    fault = "it is no text, or too long"
    if isinstance(text, str) and len(text) <= _LARGEST:
        fault = known.fault(text)
    if fault:
        raise StrangeFileError(f"{path}: {fault[:_MOST_TOLD]}")
    return str(path)


def _strange(value: object, keys: Keys, where: str) -> str:
    """The first key that is not among those that may be, or has another value."""
    if isinstance(value, list) and where:
        return next(filter(None, (_strange(each, keys, where) for each in value)), "")
    if isinstance(keys, re.Pattern):
        fits = isinstance(value, str | int) and keys.fullmatch(str(value))
        return "" if fits else f"{where!a} has a value that is not set up"
    if not isinstance(value, dict):
        return f"{ascii(where) if where else 'it'} is no table"
    for name, inner in value.items():
        known = keys.get(name, keys.get("*")) if isinstance(name, str) else None
        place = f"{where}.{name}" if where else str(name)
        if known is None:
            return f"{place!a} is not set up"
        if strange := _strange(inner, known, place):
            return strange
    return ""


def _yaml(text: str) -> object:
    """YAML without aliases, which blow up a small file."""
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if getattr(event, "anchor", None) is not None:
                raise ValueError("it has anchors or aliases")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("it is no YAML") from error


def _json(text: str) -> object:
    return load_json(text.encode("utf-8"))


def _certificates(text: str) -> object:
    if _CERTIFICATES.fullmatch(text) is None:
        raise ValueError("there is more than certificates")
    return {}


def _path(path: str) -> re.Pattern[str]:
    return re.compile(_ADDRESS.join(map(re.escape, path.split("{}"))))


def _authority(path: str) -> GuideFile:
    return GuideFile(path, _certificates, {})


_TEXT, _SECRET = re.compile("[ -~]*"), re.compile("(?s:.*)")
_FLAG, _HOST = re.compile("True|False"), re.compile(_ADDRESS)
_URL = re.compile(rf"https?://{_ADDRESS}(?:/[!-~]*)?")
_PULLED_AS = re.compile(rf"{_ADDRESS}(?:/[A-Za-z0-9._:/-]+)?")

#: As a shell takes it, in quotes or without: nothing in it is more than a word to it.
_WORD = r"(?:[A-Za-z0-9_@%+=:,./\[\]-]+|'[A-Za-z0-9_@%+=:,./\[\]-]+')"
_PAIR = "|".join(
    f"{_path(each).pattern}/client"
    for each in (docker.CERTIFICATES, containerd.CERTIFICATES, containers.CERTIFICATES)
)
_COMMAND = re.compile(
    "|".join(
        (
            *map(re.escape, (docker.RELOAD, k3s.RESTART, containers.RELOAD, containerd.RESTART)),
            re.escape(buildkit.CREATE),
            rf"(?:docker|nerdctl|podman|crictl|k3s crictl) pull {_WORD}",
            rf"ctr images pull --hosts-dir {re.escape(containerd.FOLDER)} {_WORD}",
            rf"echo FROM {_WORD} \| docker buildx build -",
            rf"(?:docker|podman) login(?: --authfile {re.escape(containers.CRIO_LOGINS)})?"
            rf" --username {ANY_NAME} {_ADDRESS}",
            rf"regcachectl prove(?: {_WORD})+",
            rf"install -D -m 0644 client\.cert '?(?:{_PAIR})\.cert'?",
            rf"install -D -m 0600 client\.key '?(?:{_PAIR})\.key'?",
        )
    )
)

_DAEMON_JSON: Keys = {"registry-mirrors": _URL, "insecure-registries": _HOST}
_HOSTS_TOML: Keys = {
    "server": _URL,
    "host": {
        "*": {
            "capabilities": re.compile("pull|resolve"),
            "dial_timeout": re.compile("[0-9]+m?s"),
            "ca": _path(containerd.AUTHORITY),
            "client": re.compile(f"{_path(containerd.CERTIFICATES).pattern}/client\\.(?:cert|key)"),
            "header": {"Authorization": _TEXT},
        }
    },
}
_CRI: Keys = {"registry": {"config_path": _path(containerd.FOLDER)}}
_PLUGINS: Keys = {"io.containerd.grpc.v1.cri": _CRI, "io.containerd.cri.v1.images": _CRI}
_CONTAINERD_TOML: Keys = {"version": re.compile("[0-9]"), "plugins": _PLUGINS}
_REGISTRIES_CONF: Keys = {
    "registry": {
        "prefix": _HOST,
        "location": _HOST,
        "mirror": {"location": _PULLED_AS, "insecure": _FLAG},
    }
}
_CRIO_CONF: Keys = {"crio": {"image": {"global_auth_file": _path(containers.CRIO_LOGINS)}}}
_REGISTRIES_YAML: Keys = {
    "mirrors": {"*": {"endpoint": _URL}},
    "configs": {
        "*": {
            "auth": {"username": _SECRET, "password": _SECRET},
            "tls": {"ca_file": _path(k3s.AUTHORITY)},
        }
    },
}
_BUILDKITD_TOML: Keys = {
    "registry": {"*": {"mirrors": _HOST, "http": _FLAG, "ca": _path(buildkit.AUTHORITY)}}
}

_TOML = tomllib.loads
_HOSTS = (
    GuideFile(containerd.HOSTS, _TOML, _HOSTS_TOML),
    _authority(containerd.AUTHORITY),
)
_CONTAINERD = (*_HOSTS, GuideFile(containerd.CONFIG, _TOML, _CONTAINERD_TOML, is_part=True))
_REGISTRIES = (
    GuideFile(containers.REGISTRIES, _TOML, _REGISTRIES_CONF),
    _authority(containers.AUTHORITY),
)
#: The files of each program.
FILES: Mapping[str, Sequence[GuideFile]] = {
    "docker": (
        GuideFile(docker.DAEMON_JSON, _json, _DAEMON_JSON),
        _authority(docker.AUTHORITY),
    ),
    "containerd": _CONTAINERD,
    "kubelet": _CONTAINERD,
    "nerdctl": _HOSTS,
    "podman": _REGISTRIES,
    "crio": (*_REGISTRIES, GuideFile(containers.CRIO_CONFIG, _TOML, _CRIO_CONF)),
    "k3s": (GuideFile(k3s.REGISTRIES, _yaml, _REGISTRIES_YAML), _authority(k3s.AUTHORITY)),
    "buildkit": (
        GuideFile(buildkit.CONFIG, _TOML, _BUILDKITD_TOML),
        _authority(buildkit.AUTHORITY),
    ),
}
