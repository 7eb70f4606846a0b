"""Media types of manifests, and which of them a client accepts.

OCI image specification, "Media Types"; Docker's image manifest version 2, schema 2;
RFC 9110, 12.5.1 (Accept). Clients send Accept as several header lines in any order, so
everything here takes all of them.
"""

import re
from collections.abc import Iterable

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

#: What an upstream is asked for: the union of what any client takes.
MANIFEST_TYPES = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})

#: White space of HTTP (RFC 9110, 5.6.3). Python's own includes bytes that are no ASCII.
_BLANK = " \t"
_NO_WEIGHT = re.compile(r"0(\.0*)?\Z")


def base_type(header: str) -> str:
    """A Content-Type without its parameters, in lower case."""
    return header.partition(";")[0].strip(_BLANK).lower()


def accepts(lines: Iterable[str], media_type: str) -> bool:
    """Whether the Accept lines take a media type; none at all take everything.

    The most specific range that matches decides, so that ``*/*`` does not take what another
    range gives the weight 0.
    """
    weights: dict[str, bool] = {}
    for line in lines:
        for part in line.split(","):
            if part.strip(_BLANK):
                name = base_type(part)
                weights[name] = weights.get(name, False) or not _refused(part)
    if not weights:
        return True
    general = media_type.partition("/")[0] + "/*"
    return next((weights[name] for name in (media_type, general, "*/*") if name in weights), False)


def _refused(part: str) -> bool:
    """Whether a media range has the weight 0, which means "not acceptable"."""
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.strip(_BLANK).partition("=")
        if name.rstrip(_BLANK).lower() == "q":
            return _NO_WEIGHT.match(value.lstrip(_BLANK)) is not None
    return False
