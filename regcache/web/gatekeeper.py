"""Lets requests pass, or refuses them, before anything is looked up: the one place in front of all.

A decision that is known, or needs nothing but the rules, costs neither a thread nor a coroutine.
Otherwise the request waits until the password or the token was checked.
"""

from dataclasses import dataclass

from regcache.access.access import Access
from regcache.access.credentials import Asker, ClientCertificate
from regcache.access.grants import Action
from regcache.access.permission import Permission, Situation
from regcache.access.principals import Decision, Wanted
from regcache.web.hosts import RoutingTable
from regcache.web.request import Request


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Decides about requests to the distribution API."""

    access: Access
    permission: Permission
    table: RoutingTable

    def asker(self, request: Request) -> Asker:
        """Who asks, as far as the request shows it. Two sets of credentials are none that hold."""
        lines = request.field_lines(b"authorization")
        shown = lines[0] if len(lines) == 1 else None if not lines else ""
        return Asker(shown, request.peer_address, self.host_of(request), self._certificate(request))

    def host_of(self, request: Request) -> str:
        """The Host with its port, in lower case; "" without one."""
        lines = request.field_lines(b"host")
        return lines[0].lower() if lines else ""

    def _certificate(self, request: Request) -> ClientCertificate | None:
        return None

    def at_once(self, request: Request) -> Decision | None:
        """The decision about who asks, if it is there; else it takes :meth:`decide`."""
        return self.access.decide_at_once(self.asker(request))

    async def decide(self, request: Request) -> Decision:
        """The decision about who asks.

        :raises RegistryError: where too many logins are being tried.
        """
        return await self.access.decide(self.asker(request))

    def admit(self, request: Request, decision: Decision, wanted: Wanted) -> None:
        """Let a request for something of a repository pass.

        :raises RegistryError: if it may not.
        """
        request.facts.account = decision.principal.name
        self.permission.check(
            decision, Action.PULL, wanted, self.situation(request, wanted.upstream)
        )

    def admit_listing(self, request: Request, decision: Decision, upstream: str) -> None:
        """Let a request for the catalog pass.

        :raises RegistryError: if it may not.
        """
        request.facts.account = decision.principal.name
        self.permission.check_listing(decision, self.situation(request, upstream))

    def admit_ping(self, request: Request, decision: Decision) -> None:
        """Let a request for ``/v2/`` pass.

        :raises RegistryError: if it has to log in first.
        """
        request.facts.account = decision.principal.name
        self.permission.check_ping(decision, self.situation(request, ""))

    def admit_admin(self, request: Request, decision: Decision) -> None:
        """Let a request of an operator pass.

        :raises RegistryError: without an account that has ``admin``.
        """
        request.facts.account = decision.principal.name
        self.permission.check_admin(decision)

    def situation(self, request: Request, upstream: str) -> Situation:
        """Where a request came in."""
        host = request.hostname
        named = upstream or (None if host is None else self.table.hosts.find(host))
        return Situation(
            "https" if request.isSecure() else "http",
            self.host_of(request) if self.is_ours(host) else "",
            named or self.table.default_upstream or "",
        )

    def is_ours(self, host: str | None) -> bool:
        """Whether this is a name of ours, which a realm may be on.

        :param host: normalised.
        """
        if host is None:
            return False
        named = self.table.hosts.find(host) is not None or self.table.is_admin_host(host)
        return named or self.table.answers_by_default(host)
