"""k3s and RKE2: ``registries.yaml``, from which they write containerd's files.

Logins under ``configs`` are sent to the mirror. The registry itself is asked last.
"""

from regcache.client_setup.located import CachePlace
from regcache.client_setup.steps import (
    ANY_NAME,
    ANY_PASSWORD,
    MARK,
    GuideStep,
    SetUp,
    authority_step,
    check_step,
    file,
    quoted,
    shell,
)

REGISTRIES = "/etc/rancher/k3s/registries.yaml"
RESTART = "systemctl restart k3s || systemctl restart k3s-agent"
AUTHORITY = "/etc/rancher/k3s/regcache-{}.crt"


def k3s_steps(setup: SetUp) -> list[GuideStep]:
    """The guide."""
    if not setup.located.mirrored:
        return []
    text = "k3s.login" if setup.needs_login else "k3s.registries"
    block = file(REGISTRIES, _registries(setup), secret=setup.needs_login)
    return [
        *authority_step(setup.located, AUTHORITY),
        GuideStep("k3s.registries", text, [block]),
        GuideStep(
            "restart",
            "k3s.restart",
            [shell(RESTART)],
        ),
        *check_step(setup, "k3s", "k3s crictl pull {}", authority=AUTHORITY),
    ]


def _registries(setup: SetUp) -> str:
    lines = [MARK, "mirrors:"]
    for each in setup.located.mirrored:
        for name in each.names:
            lines += [f"  {quoted(name)}:", f"    endpoint: [{quoted(each.place.url)}]"]
    configs = [line for each in setup.located.places for line in _config(setup, each)]
    if configs:
        lines += ["configs:", *configs]
    return "".join(f"{line}\n" for line in lines)


def _config(setup: SetUp, place: CachePlace) -> list[str]:
    lines = []
    if setup.needs_login:
        lines.append("    auth:")
        lines.append(f"      username: {quoted(ANY_NAME)}")
        lines.append(f"      password: {quoted(ANY_PASSWORD)}")
    if place.authority:
        lines += ["    tls:", f"      ca_file: {quoted(AUTHORITY.format(place.address))}"]
    return [f"  {quoted(place.address)}:", *lines] if lines else []
