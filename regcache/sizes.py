"""Sizes as people write them, in the configuration and for regcachectl: ``50GiB``, ``1.5 TB``."""

import re

UNITS: dict[str, int] = {"B": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("KMGTP", 1)
    for suffix, base in (("iB", 1024), ("B", 1000))
}
"""Those with an i are powers of 1024, the others of 1000."""
UNITS["kB"] = 1000

WITHOUT_UNIT = "a size needs a unit: B, KiB, MiB, GiB or TiB, as in 50GiB"

_SIZE = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,6}))? ?([A-Za-z]{1,3})\Z")
_SHORT = re.compile(r"([0-9.]+) ?([kKMGT])[iI]?\Z")


def parse_size(text: str, shown: str, also: str = "") -> int:
    """Bytes.

    :param shown: the text, fit for a message.
    :param also: what may be written besides, for the message.
    :raises ValueError: if it is no size; says why.
    """
    match = _SIZE.match(text)
    if match and match[3] in UNITS:
        unit, part = UNITS[match[3]], match[2] or "0"
        scale: int = 10 ** len(part)
        return int(match[1]) * unit + int(part) * unit // scale
    if short := _SHORT.match(text):
        number, prefix = short[1], short[2].upper()
        instead = f"{number}{prefix}iB or {number}{'k' if prefix == 'K' else prefix}B"
        raise ValueError(f"{shown} has no whole unit: write {instead}")
    raise ValueError(f"{shown} is no size such as 512MiB, 50GiB{also}")
