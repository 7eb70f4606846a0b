"""Small images of known registries, for those who try whether something works."""

#: Repository and tag, by the name of the registry.
SAMPLES: dict[str, tuple[str, str]] = {
    "docker.io": ("library/hello-world", "latest"),
    "gcr.io": ("distroless/static", "latest"),
    "registry.k8s.io": ("pause", "3.10"),
    "quay.io": ("prometheus/busybox", "latest"),
    "ghcr.io": ("astral-sh/uv", "latest"),
    "mcr.microsoft.com": ("hello-world", "latest"),
    "public.ecr.aws": ("docker/library/hello-world", "latest"),
}


def sample_image(registry: str) -> str:
    """``repository:tag`` of a small image; words in its place for a registry that is not known."""
    repository, tag = SAMPLES.get(registry, ("ORG/IMAGE", "TAG"))
    return f"{repository}:{tag}"
