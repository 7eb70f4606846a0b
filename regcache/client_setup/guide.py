"""The guide for a client program: its steps, and under which name each registry is pulled."""

from collections.abc import Callable, Mapping, Sequence

from regcache.client_setup.buildkit import buildkit_steps
from regcache.client_setup.containerd import containerd_steps, kubelet_steps, nerdctl_steps
from regcache.client_setup.containers import crio_steps, podman_steps
from regcache.client_setup.docker import docker_steps
from regcache.client_setup.k3s import k3s_steps
from regcache.client_setup.steps import GuideStep, SetUp
from regcache.light_dataclass import dataclass

#: What makes the steps, by the name of the program.
TOOLS: Mapping[str, Callable[[SetUp], list[GuideStep]]] = {
    "docker": docker_steps,
    "containerd": containerd_steps,
    "podman": podman_steps,
    "crio": crio_steps,
    "k3s": k3s_steps,
    "buildkit": buildkit_steps,
    "kubelet": kubelet_steps,
    "nerdctl": nerdctl_steps,
}


@dataclass(frozen=True, slots=True)
class Guide:
    """How one program is set up.

    :ivar names: each registry, and what stands in the place of its name where the cache is named.
    """

    steps: Sequence[GuideStep]
    names: Sequence[tuple[str, str]]
    login_needed: bool
    notes: Sequence[str]


def guide_for(tool: str, setup: SetUp) -> Guide:
    """The guide for one of :data:`TOOLS`."""
    located = setup.located
    names = [(each.registry.name, each.pulled_as) for each in located.locations]
    notes = []
    if any(each.is_guessed for each in located.places):
        notes.append("host_guessed")
    if any(each.is_loopback for each in located.places):
        notes.append("loopback")
    if any(each.is_uncovered for each in located.places):
        notes.append("not_covered")
    return Guide(TOOLS[tool](setup), names, setup.needs_login, notes)
