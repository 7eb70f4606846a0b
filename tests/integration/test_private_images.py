"""Credentials, tokens, private images, and what the operator shuts out."""

import contextlib
import sqlite3
import time
from http.client import HTTPException
from typing import Any

from tests.integration.base import UPSTREAM, PullThroughCase, upstream_config
from tests.support.faults import Fault
from tests.support.faulty_upstream import FaultyUpstream
from tests.support.images import mixed_image
from tests.support.processes import wait_until
from tests.support.registry_client import Answer, basic
from tests.support.servers import Regcache

REPOSITORY = "team/app"
ALICE, BOB = ("alice", "correct-horse"), ("bob", "battery-staple")
IMAGE, OTHER = mixed_image("private", 1000), mixed_image("another", 1000)
#: Everything of an image that a client asks for.
CONTENTS = ("manifests/1", f"manifests/{IMAGE.digest}", f"blobs/{IMAGE.blobs[0].digest}")


def credentials(account: tuple[str, str], **more: Any) -> dict[str, Any]:
    """The keys of an upstream with an account."""
    return {"username": account[0], "password": account[1], **more}


class CredentialsCase(PullThroughCase):
    """An upstream with one image."""

    def setUp(self) -> None:
        """Hold the image."""
        self.upstream: FaultyUpstream = self.faulty_upstream()
        self.upstream.add_image(REPOSITORY, IMAGE, "1")

    def start(self, **settings: Any) -> Regcache:
        """A daemon with one entry for the upstream."""
        settings = {"tag_ttl": "1s", "negative_ttl": "1s", **settings}
        self.daemon: Regcache = self.regcache(upstream_config(self.upstream.url, **settings))
        return self.daemon

    def get(self, path: str, repository: str = REPOSITORY) -> Answer:
        """Ask the daemon."""
        return self.daemon.client().get(f"/v2/{repository}/{path}")

    def statuses(self, repository: str = REPOSITORY) -> list[int]:
        """What comes for the tag, the digest and the blob."""
        return [self.get(path, repository).status for path in CONTENTS]

    def credentials_ok(self) -> float:
        """What the metric says of our credentials."""
        return self.daemon.metric("regcache_upstream_credentials_ok", upstream=UPSTREAM)


class TokenTests(CredentialsCase):
    """Bearer tokens and their ends."""

    def test_a_token_that_is_not_taken_any_more_is_renewed_once(self) -> None:
        """401 with a token: one new token, one more request, and the client notices nothing."""
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True))
        self.assertEqual(self.get("manifests/1").status, 200)
        self.upstream.revoke_tokens()
        asked, tokens = len(self.upstream.requests), len(self.upstream.token_requests)
        self.assertEqual(self.get(CONTENTS[2]).status, 200)
        statuses = [one.status for one in self.upstream.requests[asked:]]
        self.assertEqual(statuses, [401, 200])
        self.assertEqual(len(self.upstream.token_requests), tokens + 1)

    def test_a_token_that_never_is_taken_is_renewed_once(self) -> None:
        """An upstream that takes no token at all is not asked for ever."""
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True))
        challenge = f'Bearer realm="{self.upstream.url}/token",service="faulty"'
        headers = {"WWW-Authenticate": challenge}
        self.upstream.faults.always("/v2/*", Fault(status=401, headers=headers))
        self.assertEqual(self.get("manifests/1").status, 403)
        self.assertLessEqual(len(self.upstream.requests), 3)
        self.assertLessEqual(len(self.upstream.token_requests), 2)

    def test_a_token_for_each_repository_and_no_more(self) -> None:
        """Two repositories are two scopes, each with one token for everything in it."""
        self.upstream.add_image("team/other", OTHER, "1")
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True))
        self.assertEqual(self.statuses(), [200] * 3)
        for path in ("manifests/1", f"blobs/{OTHER.blobs[0].digest}", "tags/list"):
            self.assertEqual(self.get(path, "team/other").status, 200)
        scopes = [one.query["scope"] for one in self.upstream.token_requests]
        self.assertEqual(
            scopes, [[f"repository:{name}:pull"] for name in (REPOSITORY, "team/other")]
        )


class OwnCredentialsTests(CredentialsCase):
    """Credentials of ours that are no good, or are replaced."""

    def test_refused_by_the_realm(self) -> None:
        """Anonymous from there on; the metric is 0; one line in the log; no word is shown."""
        self.upstream.require_token()
        self.upstream.realm_knows_nobody = True
        self.start(**credentials(ALICE, serve_private=True))
        self.assertEqual(self.statuses(), [200] * 3)
        self.assertEqual(self.get("tags/list").status, 200)
        self.assertEqual(self.credentials_ok(), 0)
        given = [one for one in self.upstream.token_requests if one.headers["Authorization"]]
        self.assertEqual(len(given), 1)
        told = self.assert_logged(self.daemon, "credentials for upstream.test are refused")
        self.assertEqual(len(told), 1)
        self.assertNotIn(ALICE[1], self.daemon.log())

    def test_a_password_file_is_replaced(self) -> None:
        """The old password is refused, and the new one used a few seconds after it is there."""
        self.upstream.require_basic(*ALICE)
        file = self.workspace().file("password", "wrong-word\n")
        file.chmod(0o600)
        self.start(username=ALICE[0], password_file=str(file), serve_private=True)
        self.assertEqual(self.get("manifests/1").status, 403)
        self.assertEqual(self.credentials_ok(), 0)
        new = file.with_name("new")
        new.write_text(ALICE[1] + "\n")
        new.replace(file)
        wait_until(lambda: self.get("manifests/1").status == 200, "the new one")
        self.assertEqual(self.credentials_ok(), 1)
        log = self.daemon.log()
        for word in ("wrong-word", ALICE[1]):
            self.assertNotIn(word, log)


class PrivateTests(CredentialsCase):
    """``serve_private``, closed repositories, and entries that share a host."""

    def test_what_was_served_once_is_private_again(self) -> None:
        """Without ``serve_private`` what is cached is refused like what is not; nothing is lost."""
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True))
        self.assertEqual(self.statuses(), [200] * 3)
        entry = self.daemon.config["upstreams"][UPSTREAM]
        for serve, expected in ((False, 403), (True, 200)):
            self.assertEqual(self.daemon.stop(), 0)
            entry["serve_private"] = serve
            self.daemon.start()
            bodies = len([one for one in self.upstream.requests if one.method == "GET"])
            answers = [self.get(path) for path in CONTENTS]
            self.assertEqual([one.status for one in answers], [expected] * 3)
            if expected == 403:
                for one in answers:
                    self.assertIn(f"upstreams.{UPSTREAM}.serve_private".encode(), one.body)
            asked = len([one for one in self.upstream.requests if one.method == "GET"])
            self.assertEqual(asked, bodies, "the upstream sent a body again")

    def test_credentials_that_only_raise_the_quota(self) -> None:
        """Public images are served with credentials and without the key, after one question."""
        self.upstream.require_token()  # which the realm gives to everybody
        self.start(**credentials(ALICE))
        self.assertEqual(self.statuses(), [200] * 3)
        anonymous = [
            one for one in self.upstream.token_requests if not one.headers["Authorization"]
        ]
        self.assertEqual(len(anonymous), 1)

    def test_a_repository_is_closed_and_opened_again(self) -> None:
        """Good credentials refused: 403 for all of it, over a restart too, until it is open."""
        self.upstream.add_image("team/other", OTHER, "1")
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True, on_missing="stale"))
        self.assertEqual(self.statuses(), [200] * 3)
        self.assertEqual(self.get("manifests/1", "team/other").status, 200)
        self.upstream.faults.always(f"/v2/{REPOSITORY}/*", Fault(status=403, authorised=True))
        time.sleep(1.1)  # tag_ttl
        self.assertEqual(self.statuses(), [403] * 3)
        self.assertEqual(self.get("manifests/1", "team/other").status, 200)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(self.statuses(), [403] * 3)
        self.upstream.faults.clear()
        bodies = len([one for one in self.upstream.requests if one.method == "GET"])
        time.sleep(1.1)  # negative_ttl
        self.assertEqual(self.statuses(), [200] * 3)
        asked = len([one for one in self.upstream.requests if one.method == "GET"])
        self.assertEqual(asked, bodies, "what was cached was fetched again")

    def test_what_is_missing_closes_nothing(self) -> None:
        """An upstream that answers 403 for a tag that is not there keeps what it has open."""
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True))
        self.assertEqual(self.statuses(), [200] * 3)
        missing = Fault(status=403, authorised=True)
        self.upstream.faults.always(f"/v2/{REPOSITORY}/manifests/missing", missing)
        self.assertEqual(self.get("manifests/missing").status, 403)
        self.assertEqual(self.statuses(), [200] * 3)
        self.assertNotIn("closed from now on", self.daemon.log())

    def test_entries_of_one_host_share_nothing(self) -> None:
        """What one entry's credentials can read is no other's, and no token crosses."""
        self.upstream.require_token(ALICE)
        settings = {"urls": [self.upstream.url], "negative_ttl": "0s", "tag_ttl": "1s"}
        private = {"serve_private": True}
        daemon = self.daemon = self.regcache(
            {
                "upstreams": {
                    "alice.test": {**settings, **credentials(ALICE, **private)},
                    "bob.test": {**settings, **credentials(BOB, **private)},
                    "nobody.test": dict(settings),
                }
            }
        )
        self.assertEqual(self.statuses(f"alice.test/{REPOSITORY}"), [200] * 3)
        asked, tokens = len(self.upstream.requests), len(self.upstream.token_requests)
        for name in ("bob.test", "nobody.test"):
            self.assertEqual(self.statuses(f"{name}/{REPOSITORY}"), [403] * 3)
            self.assertEqual(self.get("tags/list", f"{name}/{REPOSITORY}").status, 403)
        for one in self.upstream.requests[asked:]:
            self.assertIsNone(one.headers["Authorization"], "a token crossed")
        shown = {one.headers["Authorization"] for one in self.upstream.token_requests[tokens:]}
        self.assertEqual(shown, {None, basic(*BOB)})
        self.assertEqual(self.statuses(f"alice.test/{REPOSITORY}"), [200] * 3)
        listed = daemon.client().get("/v2/_catalog?ns=bob.test").json()["repositories"]
        self.assertEqual(listed, [])


class TurnedPrivateTests(CredentialsCase):
    """A repository that everybody could read when the upstream was asked last."""

    def let_pass(self, seconds: float) -> None:
        """Restart, with "can be read without credentials" that was found out so long ago."""
        self.assertEqual(self.daemon.stop(), 0)
        with contextlib.closing(sqlite3.connect(self.daemon.directory / "index.sqlite")) as index:
            changed = index.execute(
                "UPDATE verdicts SET public = 1, asked_at = ?", [time.time() - seconds]
            ).rowcount
            index.commit()
        self.assertEqual(changed, 1)
        self.daemon.start()

    def test_what_is_pushed_then(self) -> None:
        """After 5 minutes nothing is fetched with our credentials; what is cached is shown."""
        self.upstream.require_token()  # which the realm gives to everybody
        self.start(**credentials(ALICE, tag_ttl="1h"))
        self.assertEqual(self.statuses(), [200] * 3)
        self.upstream.add_image(REPOSITORY, OTHER, "2")
        self.upstream.require_token(ALICE)
        self.upstream.revoke_tokens()
        for pushed in (
            "manifests/2",
            f"manifests/{OTHER.digest}",
            f"blobs/{OTHER.blobs[0].digest}",
        ):
            self.let_pass(301)
            asked = len(self.upstream.requests)
            self.assertEqual(self.statuses(), [200] * 3)
            self.assertEqual(len(self.upstream.requests), asked)
            self.assertEqual(self.get(pushed).status, 403, pushed)
            methods = {one.method for one in self.upstream.requests[asked:]}
            self.assertEqual(methods, {"HEAD"}, pushed)


class AwayTests(CredentialsCase):
    """An upstream that is away, behind credentials that were changed, or behind several."""

    def restart(self, **settings: Any) -> None:
        """Stop, change the entry, and start."""
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.config["upstreams"][UPSTREAM].update(settings)
        self.daemon.start()

    def test_new_password(self) -> None:
        """With a new password the user sees what the old one proved; another user does not."""
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True))
        self.assertEqual(self.statuses(), [200] * 3)
        self.upstream.close()
        self.restart(password="another-horse")
        self.assertEqual(self.statuses(), [200] * 3)
        self.restart(**credentials(BOB))
        self.assertNotIn(200, self.statuses())
        self.assertEqual(self.daemon.client().get("/v2/_catalog").json()["repositories"], [])

    def test_several_urls(self) -> None:
        """What the second URL gave for its own credentials is shown while both are away."""
        second = self.faulty_upstream()
        second.add_image(REPOSITORY, IMAGE, "1")
        self.upstream.require_basic(*ALICE)
        second.require_basic(*BOB)
        self.upstream.faults.always("/v2/*", Fault(reset=True))
        urls = [
            {"url": each.url, **credentials(account)}
            for each, account in ((self.upstream, ALICE), (second, BOB))
        ]
        self.start(urls=urls, serve_private=True)
        self.assertEqual(self.statuses(), [200] * 3)
        second.close()
        self.restart()
        self.assertEqual(self.statuses(), [200] * 3)


class LoginPageTests(CredentialsCase):
    """A captive portal, or an upstream that shows a login page where it should say 401."""

    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n"

    def show_login_page(self) -> None:
        """Redirect everything to a page."""
        self.upstream.faults.always("/v2/*", Fault(redirect=f"{self.upstream.url}/login"))
        for method, body in (("GET", b"<html>"), ("HEAD", b"")):
            self.upstream.faults.always("/login", Fault(raw=self.page + body), method)

    def test_makes_nothing_public(self) -> None:
        """What is cached and private is not shown on its word, and stays private behind it."""
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True))
        self.assertEqual(self.statuses(), [200] * 3)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.config["upstreams"][UPSTREAM]["serve_private"] = False
        self.show_login_page()
        self.daemon.start()
        self.assertEqual(self.statuses(), [502] * 3)
        self.assertEqual(self.get("tags/list").status, 502)
        self.upstream.faults.clear()
        self.assertEqual(self.statuses(), [403] * 3)

    def test_opens_nothing_to_another_repository(self) -> None:
        """Its 200 is no proof that a repository has the layer or the manifest of another one."""
        self.upstream.require_token(ALICE)
        self.start(**credentials(ALICE, serve_private=True, negative_ttl="0s"))
        self.assertEqual(self.statuses(), [200] * 3)
        self.show_login_page()
        for path in CONTENTS[1:]:
            self.assertEqual(self.daemon.client().head(f"/v2/team/evil/{path}").status, 502)
            self.assertEqual(self.body(path, "team/evil"), b"")
        self.upstream.faults.clear()
        self.assertEqual(self.statuses("team/evil"), [404] * 3)

    def body(self, path: str, repository: str) -> bytes:
        """The body of a whole answer with status 200, if there is one."""
        try:
            answer = self.get(path, repository)
        except (OSError, HTTPException):  # cut off: what came fails its digest
            return b""
        return answer.body if answer.status == 200 else b""


class AllowTests(CredentialsCase):
    """``allow`` and ``deny``."""

    def test_what_is_not_allowed_is_404_and_never_asked_for(self) -> None:
        """For manifests, blobs, tags and referrers alike, by GET and HEAD, cached or not."""
        for repository in ("team/secret", "team/secret/deeper", "else/app"):
            self.upstream.add_image(repository, IMAGE, "1")
        self.start()
        self.assertEqual(self.statuses("team/secret"), [200] * 3)
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.config["upstreams"][UPSTREAM].update(allow=["team/*"], deny=["team/secret*"])
        self.daemon.start()
        asked = len(self.upstream.requests)
        paths = [*CONTENTS, "tags/list", f"referrers/{IMAGE.digest}"]
        client = self.daemon.client()
        for repository in ("team/secret", "team/secret/deeper", "else/app"):
            for path in paths:
                for place in (f"{repository}/{path}", f"{UPSTREAM}/{repository}/{path}"):
                    answer = client.get(f"/v2/{place}")
                    self.assertEqual((answer.status, answer.errors), (404, ["NAME_UNKNOWN"]), place)
                    self.assertEqual(client.head(f"/v2/{place}").status, 404, place)
        self.assertEqual(len(self.upstream.requests), asked)
        self.assertEqual(self.statuses(), [200] * 3)
        for path in paths[3:]:
            self.assertEqual(self.get(path).status, 200, path)
