"""What the tests of the upstream client have in common."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from regcache.digests import Digest
from regcache.identity import UpstreamIdentity
from regcache.parsing import Parser
from regcache.upstream.agent import tls_policy
from regcache.upstream.build import Surroundings, Timeouts, UpstreamUrl, build_registry
from regcache.upstream.registry import Registry
from tests.support.pools import ImmediatePool
from tests.upstream.network import Handler, Network, Seen, response
from tests.upstream.recorders import Meter

ADDRESS = "203.0.113.5"
URL = "http://registry.test"
MANIFEST = b'{"schemaVersion":2}'
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
BLOB = bytes(range(256)) * 40
DIGEST = Digest.of(BLOB)


class UpstreamTestCase(SynchronousTestCase):
    """A network in memory with one registry on it, unless a test wants others."""

    def setUp(self) -> None:
        self.network = Network()
        self.meter = Meter()
        self.network.names["registry.test"] = [ADDRESS]

    def serve(self, handler: Handler, address: str = ADDRESS, port: int = 80) -> None:
        """Put a server on the network."""
        self.network.serve(address, port, handler)

    def name(self, host: str, *addresses: str) -> None:
        """Give a name addresses."""
        self.network.names[host] = list(addresses)

    def registry(self, *urls: UpstreamUrl, **options: object) -> Registry:
        """Build an upstream as the service does."""
        around = Surroundings(
            self.network,
            self.network,
            self.meter,
            Parser(ImmediatePool()),
            unix_now=lambda: 1_000_000.0,
            chance=lambda: 0.0,
        )
        timeouts = options.pop("timeouts", Timeouts())
        return build_registry(
            UpstreamIdentity("test.io"),
            urls or (UpstreamUrl(URL),),
            around,
            tls=tls_policy(),
            timeouts=timeouts,
            **options,
        )

    def outcome(self, waiting: "Deferred[object]") -> object:
        """What a Deferred gives once all that needs no time has happened; failures are raised."""
        self.network.settle()
        return self.successResultOf(waiting)

    def failure(self, waiting: "Deferred[object]", kind: type[Exception]) -> Exception:
        """How a Deferred failed once all that needs no time has happened."""
        self.network.settle()
        return self.failureResultOf(waiting, kind).value

    def targets(self) -> list[str]:
        """Method and target of every request so far."""
        return [f"{seen.method} {seen.target}" for seen in self.network.requests]

    def shown(self, **where: object) -> list[str]:
        """The Authorization headers that arrived at a host."""
        return [
            seen.headers["authorization"]
            for seen in self.network.requests
            if "authorization" in seen.headers
            and all(getattr(seen, name) == value for name, value in where.items())
        ]


def manifest_server(seen: Seen) -> bytes:
    """An open registry with one manifest."""
    return response(200, MANIFEST, Content_Type=MANIFEST_TYPE)


class TokenService:
    """A registry that wants Bearer tokens, and the realm that gives them."""

    def __init__(self, realm: str = "http://auth.test/token", life: int = 300) -> None:
        self.realm = realm
        self.life = life
        self.given = 0
        self.valid: set[str] = set()
        self.realm_status = 200
        self.accounts = {"Basic bWU6c2VjcmV0"}  # me:secret
        self.private = False

    def registry(self, seen: Seen) -> bytes:
        """Challenge, or give the manifest."""
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.valid:
            return response(200, MANIFEST, Content_Type=MANIFEST_TYPE)
        repository = seen.path.removeprefix("/v2/").partition("/manifests/")[0]
        challenge = (
            f'Bearer realm="{self.realm}",service="registry.test",'
            f'scope="repository:{repository}:pull"'
        )
        return response(401, b"{}", WWW_Authenticate=challenge)

    def tokens(self, seen: Seen) -> bytes:
        """Give a token."""
        shown = seen.headers.get("authorization", "")
        if shown and shown not in self.accounts:
            return response(401, b'{"errors":[{"message":"wrong password"}]}')
        if self.realm_status != 200:
            return response(self.realm_status, b'{"errors":[{"message":"go away"}]}')
        self.given += 1
        token = f"token-{self.given}"
        self.valid.add(token)
        return response(200, b'{"token":"%s","expires_in":%d}' % (token.encode(), self.life))
