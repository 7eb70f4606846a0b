"""containerd, and what uses it: nerdctl, and the kubelet.

A folder for each registry, read at every pull. It adds ``?ns=`` by itself, sends the headers of its
file with every request, and asks the registry itself after any error. Versions that do not know
``dial_timeout`` pass over it, and wait 30 s.
"""

from regcache.client_setup.located import Location
from regcache.client_setup.steps import (
    ANY_BASIC,
    MARK,
    GuideStep,
    SetUp,
    authority_step,
    check_step,
    file,
    quoted,
    shell,
)

FOLDER = "/etc/containerd/certs.d"
CERTIFICATES = FOLDER + "/{}"
AUTHORITY = CERTIFICATES + "/ca.crt"
HOSTS = FOLDER + "/{}/hosts.toml"
CONFIG = "/etc/containerd/config.toml"
RESTART = "systemctl restart containerd"
#: A cache that does not answer is passed over after so long.
DIAL_TIMEOUT = "5s"
_CONFIG = f"""\
version = 2

# Where it says "version = 3", the table is [plugins."io.containerd.cri.v1.images".registry].
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{FOLDER}"
"""


def containerd_steps(setup: SetUp) -> list[GuideStep]:
    """The guide for containerd with its own client, or any other that goes by its files."""
    pull = f"ctr images pull --hosts-dir {FOLDER} {{}}"
    return [*_files(setup, "containerd.hosts"), *_config(), *_check(setup, "containerd", pull)]


def nerdctl_steps(setup: SetUp) -> list[GuideStep]:
    """The guide for nerdctl, which looks into that folder without being told."""
    pull = "nerdctl pull {}"
    return [*_files(setup, "nerdctl.hosts"), *_check(setup, "nerdctl", pull)]


def kubelet_steps(setup: SetUp) -> list[GuideStep]:
    """The guide for nodes: the kubelet has no mirrors, its runtime has."""
    pull = "crictl pull {}"
    return [*_files(setup, "kubelet.hosts"), *_config(), *_check(setup, "kubelet", pull)]


def _check(setup: SetUp, tool: str, pull: str) -> list[GuideStep]:
    return check_step(setup, tool, pull, authority=AUTHORITY)


def _files(setup: SetUp, title: str) -> list[GuideStep]:
    located = setup.located
    blocks = [
        file(HOSTS.format(name), _hosts(setup, each), secret=setup.needs_login)
        for each in located.mirrored
        for name in each.names
    ]
    text = "containerd.header" if setup.needs_login else title
    return [*authority_step(located, AUTHORITY), GuideStep(title, text, blocks)] if blocks else []


def _hosts(setup: SetUp, location: Location) -> str:
    place, url = location.place, quoted(location.place.url)
    lines = [MARK]
    if location.registry.server:
        lines.append(f"server = {quoted(location.registry.server)}")
    lines += ["", f"[host.{url}]", '  capabilities = ["pull", "resolve"]']
    lines.append(f"  dial_timeout = {quoted(DIAL_TIMEOUT)}")
    if place.authority:
        lines.append(f"  ca = {quoted(AUTHORITY.format(place.address))}")
    if pair := setup.client_pair(place):
        lines.append(f"  client = [[{quoted(pair[0])}, {quoted(pair[1])}]]")
    if setup.needs_login:
        lines += [f"  [host.{url}.header]", f"    Authorization = {quoted(ANY_BASIC)}"]
    return "".join(f"{line}\n" for line in lines)


def _config() -> list[GuideStep]:
    restart = shell(RESTART)
    block = file(CONFIG, _CONFIG, part=True)
    return [GuideStep("containerd.config_path", "containerd.config_path", [block, restart])]
