"""podman, CRI-O, skopeo and buildah: ``registries.conf``.

They send no ``ns``; the path in ``location`` names the registry. The login is the one for the
cache's own host in ``auth.json``. After any error of the manifest they ask the registry itself, and
what gave the manifest gives the layers, too.
"""

from regcache.client_setup.located import Location
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

REGISTRIES = "/etc/containers/registries.conf.d/50-regcache.conf"
CERTIFICATES = "/etc/containers/certs.d/{}"
AUTHORITY = CERTIFICATES + "/ca.crt"
#: CRI-O reads every file in it, with any name; in registries.conf.d only *.conf is read.
CRIO_FOLDER = "/etc/crio/crio.conf.d"
CRIO_CONFIG = f"{CRIO_FOLDER}/50-regcache.conf"
RELOAD = "systemctl reload crio || systemctl restart crio"
CRIO_LOGINS = "/etc/crio/regcache-auth.json"


def podman_steps(setup: SetUp) -> list[GuideStep]:
    """The guide for podman, skopeo and buildah."""
    return [
        *_files(setup, "podman.registries"),
        *login_step(setup, "podman login"),
        *_check(setup, "podman", "podman pull {}"),
    ]


def crio_steps(setup: SetUp) -> list[GuideStep]:
    """The guide for CRI-O."""
    return [
        *_files(setup, "crio.registries"),
        *_crio_login(setup),
        GuideStep("restart", "", [shell(RELOAD)]),
        *_check(setup, "crio", "crictl pull {}"),
    ]


def _check(setup: SetUp, tool: str, pull: str) -> list[GuideStep]:
    return check_step(setup, tool, pull, authority=AUTHORITY, prefix=True)


def _files(setup: SetUp, title: str) -> list[GuideStep]:
    located = setup.located
    tables = [_table(name, each) for each in located.mirrored for name in each.names]
    if not tables:
        return []
    block = file(REGISTRIES, "\n".join([f"{MARK}\n", *tables]))
    return [*authority_step(located, AUTHORITY), GuideStep(title, title, [block])]


def _table(name: str, location: Location) -> str:
    lines = ["[[registry]]", f"prefix = {quoted(name)}", f"location = {quoted(name)}", ""]
    lines += ["[[registry.mirror]]", f"location = {quoted(location.pulled_as)}"]
    if location.place.is_plain:
        lines.append("insecure = true")
    return "".join(f"{line}\n" for line in lines)


def _crio_login(setup: SetUp) -> list[GuideStep]:
    if not setup.needs_login:
        return []
    lines = [MARK, "[crio.image]", f"global_auth_file = {quoted(CRIO_LOGINS)}"]
    config = file(CRIO_CONFIG, "".join(f"{line}\n" for line in lines))
    (step,) = login_step(setup, f"podman login --authfile {CRIO_LOGINS}", "crio.login")
    return [GuideStep("login", "crio.login", [config, *step.blocks])]
