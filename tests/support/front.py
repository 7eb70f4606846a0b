"""What a client sees, without a network: the distribution API over real caches and a real store."""

from dataclasses import dataclass
from typing import Any

from twisted.internet.task import Clock

from regcache.access.access import Access
from regcache.access.challenges import Challenger
from regcache.access.permission import Permission
from regcache.access.principals import Decision
from regcache.access.quotas import QuotaBook
from regcache.access.realm import TokenGiver
from regcache.admin.requests.pending import PendingRecords
from regcache.admin.requests.usage_counting import UsageCounting
from regcache.cache.policy import Policy
from regcache.cache.suspicions import Suspicions
from regcache.errors import UpstreamFailure
from regcache.local_days import LocalDays
from regcache.web.blob_handler import BlobHandler
from regcache.web.cors import CrossOrigin
from regcache.web.distribution import Distribution
from regcache.web.gatekeeper import Gatekeeper
from regcache.web.hosts import RoutingTable, UpstreamNames
from regcache.web.listing_handler import ListingHandler
from regcache.web.manifest_handler import ManifestHandler
from regcache.web.pull_starts import PullStarts
from regcache.web.quota_gate import QuotaGate
from regcache.web.removal_handler import RemovalHandler
from regcache.web.token_handler import TokenHandler
from tests.support.caches import Caches
from tests.support.registries import FakeRegistry
from tests.support.senders import make_terms
from tests.support.web_client import Answer, MemoryClient, RecordList, make_site

#: The default upstream of a front, and the other one.
MAIN, OTHER = "main.test", "other.test"
STALL = 60.0


@dataclass
class Setting:
    """How a front is set up; what is left out is as in a configuration without that key."""

    policy: Policy | None = None
    index: Any = None
    private: bool = False
    default_namespace: str = ""
    default_upstream: str | None = MAIN
    aliases: tuple[str, ...] = ()
    finish: int | None = None
    access: Access | None = None
    origins: tuple[str, ...] = ()


class Front:
    """A site in front of two upstreams, whose clock only the test turns.

    :ivar main: the upstream that answers by default, and under ``main.example.com``.
    :ivar other: the one that has to be named.
    :ivar book: how much accounts were served.
    :ivar passed_over: whose wrong credentials counted as none.
    """

    def __init__(self, directory: str, setting: Setting | None = None) -> None:
        setting = setting or Setting()
        self.passed_over: list[Decision] = []
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.main, self.other = FakeRegistry(self.clock), FakeRegistry(self.clock)
        self.main.name, self.other.name = MAIN, OTHER
        self.caches = Caches(
            directory,
            self.clock,
            self.main,
            self.other,
            policy=setting.policy,
            index=setting.index,
            finish=setting.finish,
        )
        self.records = RecordList()
        days = LocalDays()
        self.book = QuotaBook(self.clock, days)
        pending = PendingRecords()
        UsageCounting(days, self.book, lambda account: True, pending)
        pages = CrossOrigin(setting.origins)
        dispatch = pages.before(self._distribution(setting))
        self.site = make_site(dispatch, self.clock, recorders=[self.records, pending])

    def _distribution(self, setting: Setting) -> Distribution:
        caches, private = self.caches, setting.private
        names = [
            UpstreamNames(
                MAIN,
                aliases=setting.aliases,
                hosts=("main.example.com",),
                default_namespace=setting.default_namespace,
            ),
            UpstreamNames(OTHER, hosts=("other.example.com",)),
        ]
        table = RoutingTable.build(
            names, setting.default_upstream, admin_hosts=["registry.example.com"]
        )
        gatekeeper = realm = removals = None
        if setting.access is not None:
            permission = Permission(
                Challenger("Registry Realm"), True, self.passed_over.append, setting.access.refuse
            )
            gate = QuotaGate(self.book, self.clock)
            gatekeeper = Gatekeeper(setting.access, permission, table, gate)
            if setting.access.rules.anybody_may_delete:
                removals = RemovalHandler(caches.removal)
            realm = TokenHandler(gatekeeper, TokenGiver(setting.access.tokens, self.clock))
        return Distribution(
            table=table,
            upstreams={name: each.identity for name, each in caches.upstreams.items()},
            manifests=ManifestHandler(caches.cache, private, PullStarts(self.clock)),
            blobs=BlobHandler(
                caches.cache,
                make_terms(self.clock, STALL),
                private,
                suspicions=Suspicions(caches.store, self.clock),
            ),
            listings=ListingHandler(caches.cache, table),
            gatekeeper=gatekeeper,
            realm=realm,
            removals=removals,
        )

    def begin(self, method: str, target: str, *lines: str, host: str = "localhost") -> MemoryClient:
        """Ask over a connection of its own; time stands still."""
        return MemoryClient(self.site).request(method, target, *lines, host=host)

    def ask(self, method: str, target: str, *lines: str, host: str = "localhost") -> Answer:
        """Ask, and let time pass until the answer is there, which comes without its Date."""
        client = self.begin(method, target, *lines, host=host)
        self.caches.run()
        answer = client.answer(heads_only=method == "HEAD")
        client.leave()
        del answer.headers["date"]
        return answer

    def get(self, target: str, *lines: str, host: str = "localhost") -> Answer:
        """GET."""
        return self.ask("GET", target, *lines, host=host)

    def head(self, target: str, *lines: str, host: str = "localhost") -> Answer:
        """HEAD."""
        return self.ask("HEAD", target, *lines, host=host)

    def fail(self, failure: UpstreamFailure | None) -> None:
        """The main upstream fails so from now on; None: it is well again."""
        self.main.failure = failure

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def stop(self) -> None:
        """Stop, as the daemon does."""
        self.caches.stop()
