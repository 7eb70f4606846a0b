"""The public registries whose particulars are known."""

from dataclasses import KW_ONLY

from regcache.light_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class KnownRegistry:
    """What need not be written for a known name.

    :ivar short: its label under ``domain``; "" if it gets no host there.
    :ivar token_hosts: where its token realm is not on its own host.
    """

    url: str
    _: KW_ONLY
    token_hosts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    default_namespace: str | None = None
    short: str = ""


KNOWN: dict[str, KnownRegistry] = {
    "docker.io": KnownRegistry(
        "https://registry-1.docker.io",
        token_hosts=("auth.docker.io",),
        aliases=("index.docker.io", "registry-1.docker.io"),
        default_namespace="library",
        short="docker",
    ),
    "gcr.io": KnownRegistry("https://gcr.io", short="gcr"),
    "registry.k8s.io": KnownRegistry(
        "https://registry.k8s.io", aliases=("k8s.gcr.io",), short="k8s"
    ),
    "quay.io": KnownRegistry("https://quay.io", short="quay"),
    "ghcr.io": KnownRegistry("https://ghcr.io", short="ghcr"),
    "mcr.microsoft.com": KnownRegistry("https://mcr.microsoft.com"),
    "public.ecr.aws": KnownRegistry("https://public.ecr.aws"),
    # The realm is on its own host, and on the other one once a token has expired.
    "nvcr.io": KnownRegistry("https://nvcr.io", token_hosts=("authn.nvidia.com",)),
    "registry.gitlab.com": KnownRegistry(
        "https://registry.gitlab.com", token_hosts=("gitlab.com",)
    ),
    "docker.elastic.co": KnownRegistry(
        "https://docker.elastic.co", token_hosts=("docker-auth.elastic.co",)
    ),
}
