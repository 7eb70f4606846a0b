"""What the API pulls, by the configuration that is in force."""

from regcache.admin.api.call_problems import ForbiddenProblem, UnknownUpstreamProblem
from regcache.admin.api.kinds import Named
from regcache.image_pulls import ImagePulls
from tests.test_in_force import InForceCase


class FindTests(InForceCase):
    """Which repositories there are."""

    def find(self, keys: str, name: str) -> str:
        """A repository of the one upstream, as it calls it."""
        pulls = ImagePulls(self.engine, self.start(self.build(keys)))
        upstream, _, repository = name.partition("/")
        return str(pulls.find(Named(upstream, repository)))

    def test_names(self) -> None:
        """A repository of an upstream that clients may have."""
        keys = "urls: ['http://old.test'], default_namespace: library, deny: ['secret/*']"
        self.assertEqual(self.find(keys, "corp/org/app"), "corp/org/app")
        self.assertEqual(self.find(keys, "corp/app"), "corp/library/app")
        self.assertRaises(UnknownUpstreamProblem, self.find, keys, "no.test/org/app")
        problem = self.assertRaises(ForbiddenProblem, self.find, keys, "corp/secret/app")
        self.assertIn("upstreams.corp.allow and deny", problem.message)
        self.assertRaises(
            ForbiddenProblem, self.find, "urls: ['http://old.test'], allow: ['a/*']", "corp/b/c"
        )

    def test_replaced(self) -> None:
        """What comes into force counts from then on."""
        current = self.start(self.build())
        pulls = ImagePulls(self.engine, current)
        before = pulls.find(Named("corp", "org/app"))
        current.replace(self.build("urls: ['http://new.test']"))
        after = pulls.find(Named("corp", "org/app"))
        self.assertNotEqual(before.upstream.urls, after.upstream.urls)
