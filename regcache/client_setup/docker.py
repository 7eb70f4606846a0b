"""dockerd: a mirror for Docker Hub alone; other registries by the name of the cache.

It sends mirrors no login (with the older image store it sends that of Docker Hub), takes no path
in the URL of a mirror, asks Docker Hub after any error of it, and has no setting for how long
it waits.
"""

import json
from typing import Any

from regcache.client_setup.located import HUB, Location
from regcache.client_setup.served import LoginNeed
from regcache.client_setup.steps import (
    GuideStep,
    SetUp,
    authority_step,
    file,
    insecure,
    login_step,
    prove,
    shell,
)
from regcache.sample_images import sample_image

DAEMON_JSON = "/etc/docker/daemon.json"
CERTIFICATES = "/etc/docker/certs.d/{}"
AUTHORITY = CERTIFICATES + "/ca.crt"
RELOAD = "systemctl reload docker || systemctl restart docker"


def docker_steps(setup: SetUp) -> list[GuideStep]:
    """The guide."""
    located = setup.located
    others = [each for each in located.locations if each.registry.name != HUB or not located.hub]
    steps = [*authority_step(located, AUTHORITY), *_settings(setup)]
    steps += login_step(setup, "docker login", "docker.login")
    if others:
        pulls = [f"docker pull {each.pulled_as}/{_sample(each)}" for each in others]
        steps.append(GuideStep("docker.names", "docker.names", [shell(*pulls)]))
    return [*steps, *_check(setup, others)]


def _sample(location: Location) -> str:
    return sample_image(location.registry.name)


def _settings(setup: SetUp) -> list[GuideStep]:
    located = setup.located
    settings: dict[str, Any] = {}
    if located.hub is not None:
        settings["registry-mirrors"] = [located.hub.url]
    plain = [each for each in insecure(located.places) if not each.is_loopback]
    if plain:
        settings["insecure-registries"] = [each.address for each in plain]
    if not settings:
        return []
    text = json.dumps(settings, indent=2) + "\n"
    title, why = "docker.mirror", "docker.mirror"
    if located.hub is None:
        title = why = "docker.insecure"
    elif located.login is not LoginNeed.NONE:
        why = "docker.mirror_login" if located.login is LoginNeed.ALWAYS else "docker.mirror_some"
    return [GuideStep(title, why, [file(DAEMON_JSON, text), shell(RELOAD)])]


def _check(setup: SetUp, others: list[Location]) -> list[GuideStep]:
    located = setup.located
    hub = next((each for each in located.locations if each.registry.name == HUB), None)
    if hub is not None and located.hub is not None:
        image = f"{HUB}/{_sample(hub)}"
        proof = prove(setup, "docker", hub, image, authority=AUTHORITY)
        return [GuideStep("check", "docker.check", [shell("docker pull hello-world", proof)])]
    if not others:
        return []
    first = others[0]
    image = f"{first.registry.name}/{_sample(first)}"
    proof = prove(setup, "docker", first, image, authority=AUTHORITY, prefix=True)
    return [GuideStep("check", "docker.check", [shell(proof)])]
