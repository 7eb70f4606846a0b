"""Scopes as clients write them."""

from twisted.trial.unittest import SynchronousTestCase

from regcache.access.scopes import MOST_SCOPES, parse_scopes, repository_scope


class ScopeTests(SynchronousTestCase):
    """Reading, writing and comparing."""

    def test_read(self) -> None:
        """Several scopes may stand in one parameter, and names may hold a port."""
        found = parse_scopes(["repository:host:5000/org/app:pull,push registry:catalog:*"])
        self.assertEqual(
            [str(each) for each in found],
            ["repository:host:5000/org/app:pull,push", "registry:catalog:*"],
        )

    def test_class(self) -> None:
        """A class of repositories says nothing here."""
        (found,) = parse_scopes(["repository(plugin):org/app:pull"])
        self.assertEqual(found, repository_scope("org/app", "pull"))

    def test_nonsense(self) -> None:
        """What is no scope is passed over."""
        for text in (
            "",
            "repository",
            "repository:app",
            "repository::pull",
            "repository:app:",
            "other:app:pull",
            "repository:" + "a" * 600 + ":pull",
        ):
            self.assertEqual(parse_scopes([text]), [], text)

    def test_many(self) -> None:
        """No more than a bound are looked at."""
        texts = [f"repository:app{number}:pull" for number in range(MOST_SCOPES + 5)]
        self.assertEqual(len(parse_scopes([" ".join(texts)])), MOST_SCOPES)

    def test_allows(self) -> None:
        """A scope is for its own thing and its own actions, or for all of them."""
        scope = repository_scope("org/app", "pull")
        self.assertTrue(scope.allows("repository", "org/app", "pull"))
        self.assertFalse(scope.allows("repository", "org/app", "delete"))
        self.assertFalse(scope.allows("repository", "org/app2", "pull"))
        self.assertFalse(scope.allows("registry", "org/app", "pull"))
        self.assertTrue(repository_scope("a", "*").allows("repository", "a", "delete"))
