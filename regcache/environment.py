"""Outgoing proxies as configured, or as the environment has them: part of the composition root."""

from collections.abc import Mapping

from regcache.config import names
from regcache.config.values import ProxyAddress
from regcache.upstream.proxies import EnvironmentProxies, Proxy, exceptions_of


def environment_proxies(environment: Mapping[str, str]) -> EnvironmentProxies:
    """HTTPS_PROXY, HTTP_PROXY and NO_PROXY, each in upper case or else in lower case.

    ``http://`` may be left out, as most programs allow.

    :raises ValueError: if a proxy cannot be used; names the variable, never its value.
    """
    found = {}
    for scheme in ("https", "http"):
        variable, value = _variable(environment, f"{scheme}_proxy")
        if value:
            found[scheme] = _read(variable, value)
    return EnvironmentProxies(found, exceptions_of(_variable(environment, "no_proxy")[1]))


def proxy_of(proxy: ProxyAddress) -> Proxy:
    """A configured proxy as the upstream client wants it."""
    host = proxy.host.removeprefix("[").removesuffix("]")
    return Proxy.make(host, proxy.port, proxy.username, proxy.password)


def _variable(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    for spelling in (name.upper(), name):
        if value := environment.get(spelling, "").strip():
            return spelling, value
    return name, ""


def _read(variable: str, value: str) -> Proxy:
    text = value if "://" in value else f"http://{value}"
    try:
        proxy = names.proxy(text.rstrip("/"))
    except ValueError as error:
        raise ValueError(f"{variable} {error}") from None
    assert isinstance(proxy, ProxyAddress)
    return proxy_of(proxy)
