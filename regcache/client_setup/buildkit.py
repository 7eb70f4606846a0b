"""BuildKit, and builders of ``docker buildx``, which do not read ``daemon.json``.

It adds ``?ns=``. The login is the one of the client that builds, for the cache's own host. After
any error it asks the registry itself.
"""

from regcache.client_setup.located import CachePlace
from regcache.client_setup.steps import (
    MARK,
    GuideStep,
    SetUp,
    authority_step,
    check_step,
    file,
    login_step,
    quoted,
    shell,
)

CONFIG = "/etc/buildkit/buildkitd.toml"
AUTHORITY = "/etc/buildkit/regcache-{}.crt"
CREATE = f"docker buildx create --use --name regcache --buildkitd-config {CONFIG}"


def buildkit_steps(setup: SetUp) -> list[GuideStep]:
    """The guide."""
    if not setup.located.mirrored:
        return []
    return [
        *authority_step(setup.located, AUTHORITY),
        GuideStep("buildkit.toml", "buildkit.toml", [file(CONFIG, _config(setup)), shell(CREATE)]),
        *login_step(setup, "docker login", "buildkit.login"),
        *check_step(setup, "buildkit", "echo FROM {} | docker buildx build -", authority=AUTHORITY),
    ]


def _config(setup: SetUp) -> str:
    lines = [MARK]
    for each in setup.located.mirrored:
        for name in each.names:
            lines += [f"[registry.{quoted(name)}]", f"  mirrors = [{quoted(each.place.address)}]"]
    for place in setup.located.places:
        lines += _place(place)
    return "".join(f"{line}\n" for line in lines)


def _place(place: CachePlace) -> list[str]:
    head = f"[registry.{quoted(place.address)}]"
    if place.is_plain:
        return [head, "  http = true"]
    if place.authority:
        return [head, f"  ca = [{quoted(AUTHORITY.format(place.address))}]"]
    return []
