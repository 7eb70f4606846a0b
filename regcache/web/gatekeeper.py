"""Admits or refuses requests before anything is looked up: the one place for all of them.

If the decision is remembered, or the rules alone give it, it is there at once, without a thread
or a coroutine. Otherwise the request waits until its password or token was checked.
"""

from dataclasses import KW_ONLY

from regcache.access.access import Access
from regcache.access.credentials import Asker
from regcache.access.grants import Action
from regcache.access.permission import Permission, Situation
from regcache.access.principals import Decision, Wanted
from regcache.light_dataclass import dataclass
from regcache.web.hosts import RoutingTable
from regcache.web.quota_gate import QuotaGate
from regcache.web.request import Request
from regcache.web.seat_hosts import SeatHosts


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Decides about requests to the distribution API.

    :ivar quotas: refuses principals that have used one up; None where there are none.
    :ivar seat_hosts: the host names of seats; None where there are none.
    """

    access: Access
    permission: Permission
    table: RoutingTable
    quotas: QuotaGate | None = None
    _: KW_ONLY
    seat_hosts: SeatHosts | None = None

    def asker(self, request: Request) -> Asker:
        """Who asks, as the request shows it. Several Authorization fields are wrong credentials."""
        lines = request.field_lines(b"authorization")
        shown = lines[0] if len(lines) == 1 else None if not lines else ""
        return Asker(
            shown,
            request.peer_address,
            self.host_of(request),
            request.client_certificate,
            seat_label=request.seat_label,
        )

    def host_of(self, request: Request) -> str:
        """The Host with its port, in lower case; "" without one."""
        lines = request.field_lines(b"host")
        return lines[0].lower() if lines else ""

    def at_once(self, request: Request) -> Decision | None:
        """The decision about who asks, if it is there at once; else call :meth:`decide`."""
        decision = self._kept(request)
        if decision is None or decision.seat is None or self.quotas is None:
            return decision
        return decision if self.quotas.is_open_for(decision) else None

    def _kept(self, request: Request) -> Decision | None:
        headers = request.requestHeaders
        lines = headers.getRawHeaders(b"authorization")
        certificate = request.client_certificate
        if lines is None and certificate is None:
            return self.access.decisions.unproved(request.peer_address, request.seat_label)
        hosts = headers.getRawHeaders(b"host")
        if lines is None or len(lines) != 1 or hosts is None:
            return self.access.decide_at_once(self.asker(request))
        return self.access.kept.find(hosts[0].lower(), request.peer_address, lines[0], certificate)

    async def decide(self, request: Request) -> Decision:
        """The decision about who asks.

        :raises RegistryError: if too many passwords are being tried.
        """
        decision = await self.access.decide(self.asker(request))
        if self.quotas is not None:
            await self.quotas.wait_for(decision)
        return decision

    def admit(
        self,
        request: Request,
        decision: Decision,
        wanted: Wanted,
        action: Action = Action.PULL,
    ) -> None:
        """Admit a request about a repository.

        :raises RegistryError: if it may not, or has used up a quota.
        """
        request.facts.decided(decision)
        if decision.wrong or not decision.permits(action, wanted):
            situation = self.situation(request, wanted.upstream)
            self.permission.check(decision, action, wanted, situation)
        if decision.seat is not None and self.quotas is not None:
            self.quotas.check(request, decision)

    def admit_listing(self, request: Request, decision: Decision, upstream: str) -> None:
        """Admit a request for the catalog.

        :raises RegistryError: if it may not.
        """
        request.facts.decided(decision)
        self.permission.check_listing(decision, self.situation(request, upstream))

    def admit_ping(self, request: Request, decision: Decision) -> None:
        """Admit a request for ``/v2/``.

        :raises RegistryError: if it has to log in first.
        """
        request.facts.decided(decision)
        self.permission.check_ping(decision, self.situation(request, ""))

    def admit_admin(self, request: Request, decision: Decision) -> None:
        """Admit a request of an operator.

        :raises RegistryError: without an account that has ``admin``.
        """
        request.facts.decided(decision)
        self.permission.check_admin(decision)

    def admit_to_view(
        self, request: Request, decision: Decision, action: Action, wanted: Wanted | None
    ) -> None:
        """Admit a request of an operator for what is cached.

        :param wanted: None if no repository is asked for.
        :raises RegistryError: without an account that has ``admin``.
        """
        request.facts.decided(decision)
        self.permission.check_view(decision, action, wanted)

    def situation(self, request: Request, upstream: str) -> Situation:
        """The facts about a request that challenges depend on."""
        host = request.hostname
        named = upstream or (None if host is None else self.table.hosts.find(host))
        return Situation(
            request.scheme,
            self.host_of(request) if self.is_ours(host) else "",
            named or self.table.default_upstream or "",
        )

    def is_ours(self, host: str | None) -> bool:
        """Whether this host name is one of ours, so that our realm may be on it.

        :param host: normalised.
        """
        if self.seat_hosts is not None and self.seat_hosts.find(host) is not None:
            return True
        if host is None:
            return False
        named = self.table.hosts.find(host) is not None or self.table.is_admin_host(host)
        return named or self.table.answers_by_default(host)
