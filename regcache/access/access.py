"""Who asks, and what that one may do: one decision for each request, before any look-up.

What is there first decides, and one that is there and wrong never falls through to the next:

1. ``Authorization: Bearer``: our own token, else one of the external server.
2. ``Authorization: Basic``: an account of htpasswd.
3. A client certificate of an account.
4. None of these: anonymous at this address.

Wrong credentials make a decision, too: it says so, and grants what anonymous may do. Whether that
is enough depends on what is asked, see :mod:`regcache.access.permission`; for a wrong token never.

A decision is kept for a minute at most under a keyed hash of what was shown, so that a request of
a known principal costs no thread and no file. All of them are dropped whenever an account changes.
"""

from collections.abc import Mapping
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime

from regcache.access.credentials import (
    Asker,
    Credentials,
    Scheme,
    parse_authorization,
)
from regcache.access.external_tokens import ExternalClaims, ExternalTokens
from regcache.access.grants import Action, Grant, Rules
from regcache.access.kept_decisions import MOST_DECISIONS, KeptDecisions
from regcache.access.own_tokens import BadTokenError, OwnTokens, TokenClaims, is_own
from regcache.access.passwords import Passwords
from regcache.access.principals import LONGEST_DECISION, Decision, Principal, PrincipalKind
from regcache.bounded import BoundedTable


class Access:
    """Decides who asks and what that one may do.

    :param external: of ``access.token``; None without it.
    :ivar tokens: our own.
    :ivar kept: decisions on what was shown lately.
    """

    def __init__(
        self,
        rules: Rules,
        passwords: Passwords,
        tokens: OwnTokens,
        clock: IReactorTime,
        *,
        external: ExternalTokens | None = None,
    ) -> None:
        self.rules = rules
        self._passwords = passwords
        self.tokens = tokens
        self._clock = clock
        self._external = external
        self._changes = 0
        self.kept = KeptDecisions(clock)
        self._anonymous: BoundedTable[str | None, Decision] = BoundedTable(MOST_DECISIONS, clock)

    def replace_accounts(self, accounts: Mapping[str, bytes]) -> None:
        """Take the accounts of a changed htpasswd file: what was decided before is void."""
        self._passwords.replace(accounts)
        self.forget()

    def exists(self, name: str) -> bool:
        """Whether there is such an account in our own files."""
        return self._passwords.exists(name)

    def forget(self) -> None:
        """Decide everything anew: accounts or keys have changed."""
        self._changes += 1
        self.kept.clear()
        self._anonymous.clear()

    def decide_at_once(self, asker: Asker) -> Decision | None:
        """The decision, if it needs neither a password to be checked nor a token to be read."""
        if asker.authorization is None and asker.certificate is None:
            return self._as_anonymous(asker.address)
        return self.kept.find_for(asker)

    async def decide(self, asker: Asker) -> Decision:
        """The decision.

        :raises TooManyRequestsError: after too many wrong logins from this address.
        :raises ServiceUnavailableError: while too many logins are being checked.
        """
        known = self.decide_at_once(asker)
        if known is not None:
            return known
        before = self._changes
        decision = await self._decide(asker, parse_authorization(asker.authorization))
        seconds = decision.until - self._clock.seconds()
        # What was right or wrong by the former accounts says nothing of the present ones.
        if seconds > 0 and before == self._changes:
            self.kept.keep(asker, decision, seconds)
        return decision

    def anonymous(self, address: str | None) -> Decision:
        """The decision on a request without credentials from an address."""
        return self._as_anonymous(address)

    def decide_by_refresh(self, asker: Asker, token: str) -> Decision:
        """The decision on a refresh token that is shown instead of a password."""
        try:
            claims = self.tokens.read_refresh(token, asker.host)
        except BadTokenError:
            return self.wrong_token(asker)
        if not claims.account or claims.mark != self._passwords.mark(claims.account):
            return self.wrong_token(asker)
        return self._account(claims.account, asker.address, claims.mark)

    def refuse(self, decision: Decision) -> None:
        """Note that wrong credentials are to be answered 401.

        :raises TooManyRequestsError: after too many wrong logins from this address.
        """
        if decision.attempt:
            self._passwords.refuse(decision.principal.address, decision.attempt)

    def wrong_token(self, asker: Asker) -> Decision:
        """The decision on a token that is not valid for this host or upstream, or at this time."""
        return replace(self._wrong(asker), bad_token=True)

    def decide_by_mark(self, account: str, mark: str, address: str | None) -> Decision | None:
        """The decision for an account that logged in before; None if its password has changed.

        :param mark: of the account when it logged in.
        """
        if not mark or mark != self._passwords.mark(account):
            return None
        return self._account(account, address, mark)

    async def _decide(self, asker: Asker, credentials: Credentials) -> Decision:
        if credentials.scheme is Scheme.BEARER:
            return self._by_token(asker, credentials.token)
        if credentials.scheme is Scheme.BASIC:
            return await self._by_password(asker, credentials)
        if credentials.scheme is Scheme.NONE:
            return self._by_certificate(asker)
        return self._wrong(asker)

    def _by_certificate(self, asker: Asker) -> Decision:
        """A certificate of no account, or that has expired since the handshake, counts as none."""
        shown = asker.certificate
        if shown is not None and shown.account and shown.until > self._clock.seconds():
            mark = self._passwords.mark(shown.account)
            if mark is not None:
                return self._account(shown.account, asker.address, mark, until=shown.until)
        return self._as_anonymous(asker.address)

    async def _by_password(self, asker: Asker, credentials: Credentials) -> Decision:
        name = credentials.name
        if await self._passwords.check(name, credentials.password, asker.address):
            mark = self._passwords.mark(name)
            if mark is not None:
                return self._account(name, asker.address, mark)
        attempt = self._passwords.fingerprint(name, credentials.password)
        return replace(self._wrong(asker), attempt=attempt)

    def _by_token(self, asker: Asker, token: str) -> Decision:
        try:
            if self._external is None or is_own(token):
                return self._by_claims(asker, self.tokens.read(token, asker.host))
            found = self._external.read(token)
        except BadTokenError:
            return self.wrong_token(asker)
        return self._by_external(asker, found)

    def _by_external(self, asker: Asker, claims: ExternalClaims) -> Decision:
        """The server's access list decides, and the rules where there are some."""
        decision = self._account(claims.account, asker.address, "", until=claims.until)
        grants = decision.grants
        if self.rules.any_account_may_pull:
            grants = (*grants, Grant(frozenset({Action.PULL})))
        return replace(decision, grants=grants, scopes=claims.scopes, upstreams=claims.upstreams)

    def _by_claims(self, asker: Asker, claims: TokenClaims) -> Decision:
        if not claims.account:
            decision = self._as_anonymous(asker.address)
        elif claims.mark and claims.mark == self._passwords.mark(claims.account):
            decision = self._account(claims.account, asker.address, claims.mark)
        else:
            return self.wrong_token(asker)
        until = min(decision.until, claims.until)
        return replace(decision, scopes=claims.scopes, until=until)

    def _account(
        self, name: str, address: str | None, mark: str, *, until: float | None = None
    ) -> Decision:
        kind = PrincipalKind.ACCOUNT if name else PrincipalKind.ANONYMOUS
        principal = Principal(kind, name, address)
        grants = self.rules.granted(name, address)
        latest = self._clock.seconds() + LONGEST_DECISION
        return Decision(
            principal, grants, latest if until is None else min(latest, until), mark=mark
        )

    def _as_anonymous(self, address: str | None) -> Decision:
        known = self._anonymous.get(address)
        if known is not None:
            return known
        principal = Principal(PrincipalKind.ANONYMOUS, "", address)
        until = self._clock.seconds() + LONGEST_DECISION
        decision = Decision(principal, self.rules.granted("", address), until)
        self._anonymous.put(address, decision, seconds=LONGEST_DECISION)
        return decision

    def _wrong(self, asker: Asker) -> Decision:
        return replace(self._as_anonymous(asker.address), wrong=True)
