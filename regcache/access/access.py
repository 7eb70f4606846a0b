"""Who asks, and what that one may do: one decision for each request, before any look-up.

What is there first decides, and one that is there and wrong never falls through to the next:

1. ``Authorization: Bearer``: our own token, else one of the external server.
2. ``Authorization: Basic``: an account, by a password or a robot key.
3. A client certificate of an account.
4. The host name of a seat.
5. None of these: anonymous at this address, or the seat that knocked there.

Wrong credentials make a decision, too: it says so, and grants what that address may do. Whether
that is enough depends on what is asked, see :mod:`regcache.access.permission`; for a wrong token
never.

A decision is kept for a minute at most under a keyed hash of what was shown, so that a request of
a known principal costs no thread and no file. All of them are dropped whenever an account changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from twisted.internet.interfaces import IReactorTime

from regcache.access.accounts import AccountProof, Accounts, ProofKind
from regcache.access.credentials import (
    Asker,
    Credentials,
    Scheme,
    parse_authorization,
)
from regcache.access.decisions import Decisions, Knocking
from regcache.access.external_tokens import ExternalClaims, ExternalTokens
from regcache.access.grants import Action, Grant, Rules
from regcache.access.kept_decisions import KeptDecisions
from regcache.access.knocks import Knock
from regcache.access.own_tokens import BadTokenError, OwnTokens, TokenClaims, is_own
from regcache.access.passwords import Passwords
from regcache.access.principals import Decision
from regcache.seats import Seats


class Access:
    """Decides who asks and what that one may do.

    :param external: of ``access.token``; None without it.
    :param knocking: the addresses that are seats; None where no address may knock.
    :ivar accounts: all of them, and what proves to be one.
    :ivar decisions: makes them of proofs.
    :ivar tokens: our own.
    :ivar kept: decisions on what was shown lately.
    :ivar changed: called when accounts, seats or keys have changed.
    """

    def __init__(
        self,
        rules: Rules,
        passwords: Passwords,
        tokens: OwnTokens,
        clock: IReactorTime,
        *,
        external: ExternalTokens | None = None,
        knocking: Knocking | None = None,
    ) -> None:
        self._passwords = passwords
        self.tokens = tokens
        self._clock = clock
        self._external = external
        self.knocking = knocking
        self.accounts = Accounts(clock)
        self.decisions = Decisions(rules, self.accounts, clock, knocking)
        self._changes = 0
        self.kept = KeptDecisions(clock)
        self.changed: Callable[[], object] = lambda: None

    @property
    def rules(self) -> Rules:
        """What accounts and others are granted."""
        return self.decisions.rules

    def replace_accounts(self, accounts: Mapping[str, bytes]) -> None:
        """Take the accounts of a changed htpasswd file: what was decided before is void."""
        self.accounts.replace_passwords(accounts)
        self._passwords.replace(self.accounts.hashes)
        self.forget()

    def replace_seats(self, seats: Seats) -> None:
        """Take the seats of a changed file: what was decided before is void."""
        self.accounts.replace_seats(seats)
        self._passwords.replace(self.accounts.hashes)
        self.forget()

    def forget(self) -> None:
        """Decide everything anew: accounts or keys have changed."""
        self._changes += 1
        self.kept.clear()
        self.decisions.forget()
        self.changed()

    def decide_at_once(self, asker: Asker) -> Decision | None:
        """The decision, if it needs neither a password to be checked nor a token to be read."""
        if asker.authorization is None and asker.certificate is None:
            return self.decisions.unproved(asker.address, asker.seat_label)
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

    def decide_by_refresh(self, asker: Asker, token: str) -> Decision:
        """The decision on a refresh token instead of a password; it ends with that."""
        try:
            claims = self.tokens.read_refresh(token, asker.host)
        except BadTokenError:
            return self.wrong_token(asker)
        proof = self.accounts.by_mark(claims.account, claims.mark) if claims.account else None
        if proof is None or proof.pull_only:
            return self.wrong_token(asker)
        until = min(proof.until, claims.until)
        return self.decisions.account(replace(proof, until=until), asker.address)

    def knock(self, secret: str, address: str | None) -> AccountProof | None:
        """The seat that the secret of a link is of; None if it is of none, which counts as wrong.

        :raises TooManyRequestsError: after too many wrong logins from this address.
        """
        self._passwords.look(address)
        proof = self.accounts.by_knock(secret)
        if proof is None:
            self._passwords.refuse(address, self._passwords.fingerprint("", secret.encode()))
        return proof

    def admit_address(self, proof: AccountProof, address: str) -> Knock:
        """Let an address pull as a seat from now on.

        :param proof: of :meth:`knock`.
        :param address: of ``knocking.client_address``.
        """
        assert self.knocking is not None, "nobody may knock"
        former = self.knocking.knocks.find(address)
        made = self.knocking.knocks.add(proof.account, proof.mark, address, self.knocking.seconds)
        if former is None or (former.account, former.mark) != (proof.account, proof.mark):
            self.forget()
        return made

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
        """The decision for an account that logged in before; None if its proof has changed.

        :param mark: of the proof with which it logged in.
        """
        proof = self.accounts.by_mark(account, mark)
        return None if proof is None else self.decisions.account(proof, address)

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
        if shown is not None and shown.until > self._clock.seconds():
            proof = self.accounts.by_certificate(shown)
            if proof is not None:
                return self.decisions.account(proof, asker.address)
        return self.decisions.unproved(asker.address, asker.seat_label)

    async def _by_password(self, asker: Asker, credentials: Credentials) -> Decision:
        name, shown = credentials.name, credentials.password
        proof = self.accounts.by_key(name, shown)
        if proof is None and await self._passwords.check(name, shown, asker.address):
            proof = self.accounts.by_password(name)
        if proof is not None:
            return self.decisions.account(proof, asker.address)
        attempt = self._passwords.fingerprint(name, shown)
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
        if claims.account:
            proof = AccountProof(claims.account, "", ProofKind.EXTERNAL, claims.until)
            decision = self.decisions.account(proof, asker.address)
        else:
            decision = self.decisions.anonymous(asker.address, until=claims.until)
        grants = decision.grants
        if self.decisions.rules.any_account_may_pull and not decision.ended:
            grants = self.decisions.narrowed(
                (*grants, Grant(frozenset({Action.PULL}))), decision.seat
            )
        return replace(decision, grants=grants, scopes=claims.scopes, upstreams=claims.upstreams)

    def _by_claims(self, asker: Asker, claims: TokenClaims) -> Decision:
        proof = self.decisions.proof_of(claims.account, claims.mark, asker.address)
        if proof is not None:
            decision = self.decisions.account(proof, asker.address)
        elif claims.account:
            return self.wrong_token(asker)
        else:
            decision = self.decisions.anonymous(asker.address)
        until = min(decision.until, claims.until)
        return replace(decision, scopes=claims.scopes, until=until)

    def _wrong(self, asker: Asker) -> Decision:
        return replace(self.decisions.unproved(asker.address), wrong=True)
