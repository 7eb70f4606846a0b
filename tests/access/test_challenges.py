"""Challenges by situation."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from regcache.access.challenges import Asked, ChallengeKind, Challenger, ExternalRealm

REALM = 'Registry "Realm"'
SCOPE = "repository:org/app:pull"
OPEN = Asked("https", "docker.example.com:8443", "docker.io", SCOPE, anonymous_may_pull=True)
CLOSED = replace(OPEN, anonymous_may_pull=False)
BASIC = 'Basic realm="Registry \\"Realm\\""'
OWN = (
    'Bearer realm="https://docker.example.com:8443/token",'
    f'service="docker.example.com:8443",scope="{SCOPE}"'
)


class ChallengeTests(SynchronousTestCase):
    """What clients are told."""

    def test_closed(self) -> None:
        """Where anonymous may pull nothing: Basic, which needs no realm of tokens."""
        self.assertEqual(Challenger(REALM).challenge(CLOSED), BASIC)

    def test_mixed(self) -> None:
        """Where anonymous may pull something: Bearer, with our realm on the host that was asked."""
        self.assertEqual(Challenger(REALM).challenge(OPEN), OWN)

    def test_ping(self) -> None:
        """Without a scope none is named."""
        challenge = Challenger(REALM).challenge(replace(OPEN, scope="", scheme="http"))
        self.assertEqual(
            challenge,
            'Bearer realm="http://docker.example.com:8443/token",service="docker.example.com:8443"',
        )

    def test_other_host(self) -> None:
        """No realm is named on a host that is not ours."""
        self.assertEqual(Challenger(REALM).challenge(replace(OPEN, host="")), BASIC)

    def test_chosen(self) -> None:
        """The configuration may choose."""
        self.assertEqual(Challenger(REALM, ChallengeKind.BASIC).challenge(OPEN), BASIC)
        self.assertEqual(Challenger(REALM, ChallengeKind.BEARER).challenge(CLOSED), OWN)

    def test_external(self) -> None:
        """An external server is named always, with the service of the upstream."""
        external = ExternalRealm("https://auth.example.com/auth", "regcache/{upstream}")
        for asked in (OPEN, CLOSED, replace(OPEN, host="")):
            self.assertEqual(
                Challenger(REALM, ChallengeKind.BASIC, external).challenge(asked),
                'Bearer realm="https://auth.example.com/auth",service="regcache/docker.io",'
                f'scope="{SCOPE}"',
            )

    def test_quoted(self) -> None:
        """Nothing breaks out of a quoted string."""
        challenge = Challenger('a\r\nb"\\').basic()
        self.assertEqual(challenge, 'Basic realm="ab\\"\\\\"')
