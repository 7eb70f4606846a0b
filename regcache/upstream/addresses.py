"""The class of an IP address, so that no upstream can make us connect to an internal network.

Pure and table-tested. An address that carries an IPv4 address inside (mapped, translated,
6to4) is of the class of what it carries.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

PUBLIC = ""

_V4_CLASSES = tuple(
    (IPv4Network(network), name)
    for network, name in (
        ("255.255.255.255/32", "broadcast"),
        ("0.0.0.0/8", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "shared"),
        ("192.0.0.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6_CLASSES = tuple(
    (IPv6Network(network), name)
    for network, name in (
        ("::1/128", "loopback"),
        ("::/128", "unspecified"),
        ("fe80::/10", "link-local"),
        ("fc00::/7", "unique-local"),
        ("fec0::/10", "unique-local"),
        ("ff00::/8", "multicast"),
        ("64:ff9b:1::/48", "reserved"),  # RFC 8215: where the IPv4 part lies is local knowledge
        ("2001::/32", "reserved"),  # Teredo, long dead
        ("100::/64", "reserved"),
    )
)
# As hosts files have them.
_LOCAL_NAMES = frozenset(
    {"localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"}
)
# Prefix, and how many bits stand behind the IPv4 address in it.
_CARRIERS = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped (RFC 4291, 2.5.5.2)
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated (RFC 2765)
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056)
    (IPv6Network("::/96"), 0),  # IPv4-compatible (RFC 4291, 2.5.5.1)
)


def address_class(address: str) -> str:
    """The class of an IP address literal; :data:`PUBLIC` for those that any upstream may name.

    198.18.0.0/15 counts as public: local proxies hand its addresses out for names.

    :raises ValueError: if the text is no IP address.
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv4Address):
        return _v4_class(parsed)
    return _v6_class(parsed)


def is_address(host: str) -> bool:
    """Whether a host is an IP address literal and no name."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_local_name(host: str) -> bool:
    """Whether a name means this machine, regardless of name servers (RFC 6761, 6.3)."""
    name = host.lower().rstrip(".")
    return name in _LOCAL_NAMES or name.endswith(".localhost")


def is_numeric(host: str) -> bool:
    """Whether some resolver may read a host as an address: ``127.1``, ``0x7f.0.0.1``.

    inet_aton(3), and what uses it, accepts one to four numbers of any base. So does the URL
    standard, by the last label alone.
    """
    last = host.lower().rstrip(".").rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def _v4_class(address: IPv4Address) -> str:
    return next((name for network, name in _V4_CLASSES if address in network), PUBLIC)


def _v6_class(address: IPv6Address) -> str:
    for network, name in _V6_CLASSES:
        if address in network:
            return name
    for network, shift in _CARRIERS:
        if address in network:
            return _v4_class(IPv4Address((int(address) >> shift) & 0xFFFFFFFF))
    return PUBLIC
