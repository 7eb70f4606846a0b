"""Who asks, where accounts are seats: by what they are known, and what they may do."""

import hashlib
import time
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from regcache.access import knocks as knocking
from regcache.access.access import Access
from regcache.access.attempts import MOST_WRONG
from regcache.access.credentials import Asker, ClientCertificate
from regcache.access.decisions import Knocking
from regcache.access.entries import Entries
from regcache.access.grants import Action, Grant, Rule, Rules
from regcache.access.knocks import MANY_SEATS, MOST_OF_SEAT, Knock, Knocks
from regcache.access.own_tokens import OwnTokens, TokenClaims
from regcache.access.passwords import Passwords
from regcache.access.principals import Decision, TransferLimits, Wanted
from regcache.access.realm import TokenGiver, TokenRequest
from regcache.errors import TooManyRequestsError
from regcache.seats import RobotKey, Seat
from tests.access.accounts import HOME, HOST, asker, basic, hashed
from tests.support.pools import ImmediatePool

APP = Wanted("docker.io", "org/app", "org/app")
OTHER = Wanted("ghcr.io", "org/app", "org/app")
KEY, SECRET, LABEL = "rc_" + "k" * 43, "s" * 43, "k3j9x2fq7m"
FINGERPRINT = "ab" * 32
PASSWORD = hashed("secret")
DAY = 86400.0
RULES = [
    Rule(frozenset({"*"}), Grant(frozenset({Action.PULL}))),
    Rule(frozenset({"alice"}), Grant(frozenset({Action.DELETE}))),
]


def digest_of(text: str) -> str:
    """As a file of seats has it."""
    return hashlib.sha256(text.encode()).hexdigest()


def alice(**changes: Any) -> Seat:
    """A seat with everything."""
    seat = Seat(
        name="alice",
        password=PASSWORD,
        keys=(RobotKey(digest_of(KEY), "ci"),),
        knock=digest_of(SECRET),
        certificates=(FINGERPRINT,),
        host=LABEL,
        rate=5,
        downloads=2,
    )
    return replace(seat, **changes)


class SeatCase(SynchronousTestCase):
    """Accounts may pull everything; alice has a seat, and bob is in htpasswd."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(time.time())
        self.pool = ImmediatePool()
        self.tokens = OwnTokens(b"k" * 32, 300)
        self.passwords = Passwords(self.pool, self.clock)
        self.knocks = Knocks(Entries(self.clock, knocking.LIMITS), self.clock)
        self.access = self.build(["root"])
        self.access.replace_accounts({"bob": hashed("word"), "root": hashed("toor")})
        self.put(alice())

    def build(self, admins: list[str], shared: Collection[str] = ()) -> Access:
        """The access of this set-up.

        :param shared: addresses that many clients have.
        """
        names = {"docker.io": "docker.io", "hub": "docker.io"}
        return Access(
            Rules(True, admins, RULES, names),
            self.passwords,
            self.tokens,
            self.clock,
            knocking=Knocking(
                self.knocks, DAY, lambda address: None if address in shared else address
            ),
        )

    def put(self, *seats: Seat) -> None:
        """Have these seats."""
        self.access.replace_seats({each.name: each for each in seats})

    def decide(self, who: Asker) -> Decision:
        """The decision."""
        return self.successResultOf(Deferred.fromCoroutine(self.access.decide(who)))

    def name(self, who: Asker) -> str:
        """Whose account it is; "wrong" for wrong credentials, "" for nobody."""
        decision = self.decide(who)
        return "wrong" if decision.wrong else decision.principal.name

    def knock(self, secret: str = SECRET, address: str = HOME) -> bool:
        """Open a link, and let the address pull."""
        proof = self.access.knock(secret, address)
        if proof is not None:
            self.access.admit_address(proof, address)
        return proof is not None

    def ways(self) -> dict[str, Asker]:
        """All ways to be alice, the last of them by a token and by an address."""
        self.knock(address="192.0.2.9")
        shown = ClientCertificate(FINGERPRINT)
        return {
            "password": asker(basic("alice", "secret")),
            "key": asker(basic("alice", KEY)),
            "certificate": asker(certificate=shown),
            "host": replace(asker(), seat_label=LABEL),
            "address": asker(address="192.0.2.9"),
            **{f"token by {way}": self.token(who) for way, who in self._proofs().items()},
        }

    def _proofs(self) -> dict[str, Asker]:
        return {
            "password": asker(basic("alice", "secret")),
            "key": asker(basic("alice", KEY)),
            "certificate": asker(certificate=ClientCertificate(FINGERPRINT)),
            "host": replace(asker(), seat_label=LABEL),
            "address": asker(address="192.0.2.9"),
        }

    def token(self, who: Asker) -> Asker:
        """The same address with a token of somebody."""
        token = self.answer(who)["token"]
        return asker(f"Bearer {token}", address=who.address)

    def answer(self, who: Asker) -> Any:
        """What our realm gives to somebody who wants a refresh token, too."""
        giver = TokenGiver(self.tokens, self.clock)
        return giver.answer(self.decide(who), TokenRequest(HOST, (), offline=True), lambda name: ())


class IdentityTests(SeatCase):
    """By what a seat is known."""

    def test_all_ways(self) -> None:
        """Each proof is that account, with the limits of its seat."""
        for way, who in self.ways().items():
            decision = self.decide(who)
            self.assertEqual(decision.principal.name, "alice", way)
            self.assertEqual(decision.limits, TransferLimits(5, 2), way)
            assert decision.seat is not None, way
            weak = any(word in way for word in ("host", "address"))
            self.assertEqual(decision.pull_only, weak, way)
            if decision.scopes is None:
                self.assertTrue(decision.permits(Action.PULL, APP), way)
                self.assertEqual(decision.permits(Action.DELETE, APP), not weak, way)

    def test_wrong_ones(self) -> None:
        """A key, label, fingerprint or link of nobody is nobody's."""
        for who in (
            asker(basic("alice", KEY[:-1] + "x")),
            asker(basic("bob", KEY)),
            asker(basic("alice", digest_of(KEY))),
            asker(basic("alice", "sha256:" + digest_of(KEY))),
        ):
            self.assertEqual(self.name(who), "wrong")
        for who in (
            replace(asker(), seat_label="k3j9x2fq7n"),
            asker(certificate=ClientCertificate("cd" * 32)),
        ):
            self.assertEqual(self.name(who), "")
        self.assertFalse(self.knock("x" * 43))

    def test_order(self) -> None:
        """A login decides before a certificate, that before a host, that before an address."""
        self.put(alice(), Seat(name="carol", host="carolcarol", knock=digest_of("c")))
        self.knock("c")
        shown = ClientCertificate(FINGERPRINT)
        at_carol = replace(asker(), seat_label="carolcarol")
        self.assertEqual(self.name(replace(at_carol, authorization=basic("bob", "word"))), "bob")
        self.assertEqual(self.name(replace(at_carol, certificate=shown)), "alice")
        self.assertEqual(self.name(replace(at_carol, seat_label=LABEL)), "alice")
        self.assertEqual(self.name(asker()), "carol")

    def test_wrong_login_at_an_address(self) -> None:
        """A wrong login counts as what its address is, never as its host; it stays wrong."""
        self.knock()
        decision = self.decide(asker(basic("alice", "wrong")))
        self.assertTrue(decision.wrong and decision.permits(Action.PULL, APP))
        self.assertFalse(decision.is_account)
        away = replace(asker(basic("alice", "wrong"), address="192.0.2.8"), seat_label=LABEL)
        self.assertFalse(self.decide(away).permits(Action.PULL, APP))

    def test_both_files(self) -> None:
        """A name in both files is one account: either password is right, the limits hold."""
        self.access.replace_accounts({"alice": hashed("another")})
        for password in ("secret", "another"):
            decision = self.decide(asker(basic("alice", password)))
            self.assertEqual(decision.principal.name, "alice")
            self.assertEqual(decision.limits.rate, 5)
        self.assertEqual(self.name(asker(basic("bob", "word"))), "wrong")

    def test_common_name(self) -> None:
        """A certificate of client_ca may name a seat; one that is listed is its seat's alone."""
        self.assertEqual(
            self.name(asker(certificate=ClientCertificate("cd" * 32, "alice"))), "alice"
        )
        self.assertEqual(
            self.name(asker(certificate=ClientCertificate(FINGERPRINT, "bob"))), "alice"
        )

    def test_ended_certificate(self) -> None:
        """One that an ended seat lists is nobody's, also where its common name is an account."""
        self.put(alice(ended=datetime.now(UTC) - timedelta(hours=1)))
        shown = ClientCertificate(FINGERPRINT, "bob")
        self.assertEqual(self.name(asker(certificate=shown)), "")

    def test_key_without_bcrypt(self) -> None:
        """A right key costs no check of a password; a wrong one costs as much as any."""
        self.assertEqual(self.name(asker(basic("alice", KEY))), "alice")
        self.assertEqual(len(self.pool.jobs), 0)
        for name in ("alice", "bob", "mallory"):
            self.assertEqual(self.name(asker(basic(name, "rc_" + "w" * 43))), "wrong")
        self.assertEqual(len(self.pool.jobs), 3)

    def test_expired_key(self) -> None:
        """A key ends with its last day, and so does a token that it got."""
        today = datetime.fromtimestamp(self.clock.seconds()).date()
        key = RobotKey(digest_of(KEY), "ci", today)
        self.put(alice(keys=(key,)))
        who, token = asker(basic("alice", KEY)), self.token(asker(basic("alice", KEY)))
        self.assertEqual((self.name(who), self.name(token)), ("alice", "alice"))
        self.put(alice(keys=(replace(key, until=today - timedelta(days=1)),)))
        self.assertEqual((self.name(who), self.name(token)), ("wrong", "wrong"))


class EndTests(SeatCase):
    """What ends, and when."""

    def test_revoked(self) -> None:
        """What is taken out of the file is nobody's at once, and so is a token that it got."""
        changes = {
            "password": {"password": hashed("other")},
            "key": {"keys": ()},
            "certificate": {"certificates": ()},
            "host": {"host": None},
            "address": {"knock": digest_of("other")},
        }
        for way, change in changes.items():
            self.put(alice())
            ways = self.ways()
            self.assertEqual({self.name(who) for who in ways.values()}, {"alice"}, way)
            self.put(alice(**change))
            for each, who in ways.items():
                gone = each in (way, f"token by {way}")
                self.assertEqual(self.name(who) == "alice", not gone, (way, each))

    def test_ended(self) -> None:
        """An ended seat: its password is told so; everything else that it had is nobody's."""
        for change in (
            {"ended": datetime.now(UTC) - timedelta(hours=1)},
            {"until": datetime.now().date() - timedelta(days=1)},
        ):
            self.put(alice())
            ways = self.ways()
            self.put(alice(**change))
            for way, who in ways.items():
                decision = self.decide(who)
                self.assertEqual(decision.ended, way == "password", way)
                self.assertFalse(decision.permits(Action.PULL, APP), way)
                wrong = way.startswith(("key", "token"))
                self.assertEqual(decision.wrong, wrong, way)
            told = self.decide(ways["password"]).end_message
            self.assertIn("the account alice has ended: ", told)
            self.assertFalse(self.knock())

    def test_midnight(self) -> None:
        """A seat ends with its last day, without another look at the file."""
        today = datetime.fromtimestamp(self.clock.seconds()).date()
        self.put(alice(until=today))
        ways = self.ways()
        end = alice(until=today).end or 0.0
        self.clock.advance(end - self.clock.seconds() - 1)
        self.assertEqual(self.name(ways["host"]), "alice")
        self.assertEqual(self.decide(ways["password"]).until, end)
        self.clock.advance(1)
        self.assertEqual(self.name(ways["host"]), "")
        self.assertTrue(self.decide(ways["password"]).ended)

    def test_removed(self) -> None:
        """A seat that is gone from the file is no account."""
        ways = self.ways()
        self.put()
        self.assertEqual({self.name(who) for who in ways.values()}, {"", "wrong"})
        self.assertIsNone(self.access.decide_by_mark("alice", "", HOME))


class UpstreamTests(SeatCase):
    """What the upstreams of a seat leave."""

    def test_narrowed(self) -> None:
        """They narrow the rules, by name or alias, and never widen them."""
        self.put(alice(upstreams=("hub",)))
        decision = self.decide(asker(basic("alice", "secret")))
        self.assertTrue(decision.permits(Action.PULL, APP))
        self.assertTrue(decision.permits(Action.DELETE, APP))
        self.assertFalse(decision.permits(Action.PULL, OTHER))
        self.assertFalse(decision.permits(Action.DELETE, OTHER))
        self.put(Seat(name="alice", host=LABEL, upstreams=("quay.io",)))
        self.assertFalse(self.decide(replace(asker(), seat_label=LABEL)).permits(Action.PULL, APP))

    def test_not_for_admins(self) -> None:
        """An admin may use all, but pull alone by a host name."""
        self.access = self.build(["alice"])
        self.put(alice(upstreams=("docker.io",)))
        decision = self.decide(asker(basic("alice", "secret")))
        self.assertTrue(decision.is_admin and decision.permits(Action.PULL, OTHER))
        weak = self.decide(replace(asker(), seat_label=LABEL))
        self.assertTrue(weak.permits(Action.PULL, OTHER))
        self.assertFalse(weak.is_admin or weak.permits(Action.DELETE, OTHER))


class KnockTests(SeatCase):
    """Addresses that are seats."""

    def test_period(self) -> None:
        """An address is a seat for so long, and is one again after another knock."""
        self.assertEqual(self.name(asker()), "")
        self.assertTrue(self.knock())
        self.assertEqual(self.name(asker()), "alice")
        self.assertEqual(self.name(asker(address="192.0.2.8")), "")
        self.clock.advance(DAY - 1)
        self.assertEqual(self.name(asker()), "alice")
        self.clock.advance(1)
        self.assertEqual(self.name(asker()), "")
        self.knock()
        self.assertEqual(self.name(asker()), "alice")

    def test_last_one(self) -> None:
        """The seat that knocked last has the address; many seats at one are told of once."""
        seats = [Seat(name=f"s{n}", knock=digest_of(f"secret{n}")) for n in range(MANY_SEATS)]
        self.put(*seats)
        with capturedLogs() as logs:
            for number, seat in enumerate([*seats, *seats]):
                self.knock(f"secret{number % MANY_SEATS}")
                self.assertEqual(self.name(asker()), seat.name)
        warned = [each for each in logs if each["log_level"] is LogLevel.warn]
        self.assertEqual([(each["count"], each["place"]) for each in warned], [(MANY_SEATS, HOME)])

    def test_network(self) -> None:
        """A /64 of IPv6 is one address."""
        self.knock(address="2001:db8::1")
        self.assertEqual(self.name(asker(address="2001:db8::2")), "alice")
        self.assertEqual(self.name(asker(address="2001:db8:0:1::2")), "")

    def test_bound(self) -> None:
        """A seat has so many addresses at once; with one more the oldest is forgotten."""
        for number in range(MOST_OF_SEAT + 1):
            self.knock(address=f"198.51.100.{number}")
            self.clock.advance(0.1)
        self.assertEqual(len(self.knocks.of_seat("alice")), MOST_OF_SEAT)
        self.assertEqual(self.name(asker(address="198.51.100.0")), "")
        self.assertEqual(self.name(asker(address=f"198.51.100.{MOST_OF_SEAT}")), "alice")

    def test_guessing(self) -> None:
        """Secrets that are tried count as wrong logins: after ten even a right one waits."""
        for number in range(MOST_WRONG):
            self.assertFalse(self.knock(f"guess{number}"))
        self.assertRaises(TooManyRequestsError, self.knock)
        self.assertTrue(self.knock(address="192.0.2.8"))

    def test_no_refresh_token(self) -> None:
        """A host or an address gets tokens for a moment, and none that lasts."""
        self.knock(address="192.0.2.9")
        ways = self._proofs()
        ways["common name"] = asker(certificate=ClientCertificate("cd" * 32, "alice"))
        for way, who in ways.items():
            self.assertEqual(self.decide(who).principal.name, "alice", way)
            found = "refresh_token" in self.answer(who)
            self.assertEqual(found, way not in ("host", "address"), way)

    def test_former_refresh_token(self) -> None:
        """A refresh token with the mark of a host or an address is good for nothing."""
        self.knock(address="192.0.2.9")
        for way, who in self._proofs().items():
            decision, now = self.decide(who), self.clock.seconds()
            claims = TokenClaims("alice", decision.mark, HOST, ())
            token = self.tokens.issue_refresh(claims, now)
            again = self.access.decide_by_refresh(replace(who, authorization=None), token)
            self.assertEqual(again.is_account, way not in ("host", "address"), way)

    def test_token_elsewhere(self) -> None:
        """A token that a knocked address got is good where the seat's link was opened alone."""
        self.knock()
        token = self.token(asker())
        self.assertEqual(self.name(token), "alice")
        away = replace(token, address="192.0.2.8")
        self.assertEqual(self.name(away), "wrong")
        self.knock(address="192.0.2.8")
        self.assertEqual(self.name(away), "alice")
        self.put(alice(), Seat(name="carol", knock=digest_of("c")))
        self.knock("c")
        self.assertEqual(self.name(token), "wrong")

    def test_token_after_the_knock(self) -> None:
        """It ends with the time of the address, though it was good for longer."""
        self.knock()
        self.clock.advance(DAY - 100)
        answer = self.answer(asker())
        self.assertLessEqual(answer["expires_in"], 100)
        self.assertGreaterEqual(answer["expires_in"], 90)
        token = self.token(asker())
        self.clock.advance(100)
        self.assertEqual(self.name(token), "wrong")

    def test_shared_address(self) -> None:
        """A place that strangers share is no seat, also if it was one before."""
        self.knock()
        self.knock(address="192.0.2.8")
        self.access = self.build([], shared={HOME})
        self.put(alice())
        self.assertEqual(self.name(asker()), "")
        self.assertEqual(self.name(asker(address="192.0.2.8")), "alice")
        self.knocks.restore([Knock("", "alice", "mark", self.clock.seconds() + DAY)])
        self.assertEqual(self.name(asker(address=None)), "")
        self.assertEqual(len(self.knocks.all()), 2)


class CertificateTests(SeatCase):
    """Tokens of certificates."""

    def shown(self, left: float, account: str = "") -> Asker:
        """Somebody with a certificate that is good for so many seconds more."""
        fingerprint = "cd" * 32 if account else FINGERPRINT
        return asker(
            certificate=ClientCertificate(fingerprint, account, self.clock.seconds() + left)
        )

    def test_end(self) -> None:
        """A token ends with the certificate for which it was given."""
        for account in ("", "alice", "bob"):
            who = self.shown(80, account)
            answer, end = self.answer(who), self.clock.seconds() + 80
            self.assertLessEqual(self.tokens.read(answer["token"], HOST).until, end)
            self.assertLessEqual(answer["expires_in"], 80)
            refresh = answer["refresh_token"]
            self.assertLessEqual(self.tokens.read_refresh(refresh, HOST).until, end)

    def test_refreshed(self) -> None:
        """So do the tokens for which its refresh token is exchanged, however often."""
        who, end = self.shown(200), self.clock.seconds() + 200
        refresh = self.answer(who)["refresh_token"]
        giver, request = TokenGiver(self.tokens, self.clock), TokenRequest(HOST, (), offline=True)
        for _ in range(3):
            decision = self.access.decide_by_refresh(asker(), refresh)
            answer = giver.answer(decision, request, lambda name: ())
            self.assertLessEqual(self.tokens.read(answer["token"], HOST).until, end)
            refresh = answer["refresh_token"]
            self.assertLessEqual(self.tokens.read_refresh(refresh, HOST).until, end)
        self.assertLessEqual(answer["expires_in"], 190)

    def test_lives(self) -> None:
        """An answer never says that a token is good for longer than it is."""
        for left, life in ((1, 0), (50, 45), (5000, 300)):
            self.access.forget()
            self.assertEqual(self.answer(self.shown(left))["expires_in"], life)

    def test_own_mark(self) -> None:
        """What a common name proves is no password: it has another mark, and ends with either."""
        by_name, by_password = self.shown(1000, "alice"), asker(basic("alice", "secret"))
        marks = {self.decide(each).mark for each in (by_name, by_password)}
        self.assertEqual(len(marks), 2)
        token = self.token(by_name)
        self.assertEqual(self.name(token), "alice")
        self.put(alice(password=hashed("another")))
        self.assertEqual(self.name(token), "wrong")
