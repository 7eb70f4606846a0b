"""Media types of manifests, and which of them a client accepts.

OCI image specification, "Media Types"; Docker's image manifest version 2, schema 2;
RFC 9110, 12.5.1 (Accept). Clients send Accept as several header lines in any order, so
everything here takes all of them.
"""

from collections.abc import Iterable

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

#: What an upstream is asked for: the union of what any client takes.
MANIFEST_TYPES = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})

_EVERYTHING = {"*/*", "application/*"}


def base_type(header: str) -> str:
    """A Content-Type without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()


def accepts(lines: Iterable[str], media_type: str) -> bool:
    """Whether the Accept lines take a media type; none at all take everything."""
    ranges = [part for line in lines for part in line.split(",") if part.strip()]
    if not ranges:
        return True
    taken = {base_type(part) for part in ranges if not _refused(part)}
    return media_type in taken or bool(taken & _EVERYTHING)


def _refused(part: str) -> bool:
    """Whether a media range has the weight 0, which means "not acceptable"."""
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "q":
            return value.strip().rstrip("0") in ("", "0.", ".") and value.strip() != ""
    return False
