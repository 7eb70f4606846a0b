"""The guide for an account with limits: the one proof that each client can send."""

import json
import shlex
import tomllib
from dataclasses import replace

from regcache.client_setup.docker import DAEMON_JSON
from regcache.client_setup.guide import TOOLS
from regcache.client_setup.seat_guide import SeatClient, for_seat, seat_guide
from regcache.config.client_facts import seat_client, served_here
from regcache.config.loading import loads
from regcache.seats import Seat
from tests.client_setup.cases import NAMED, PLAIN, blocks, commands, files, located
from tests.client_setup.test_guides import GuideCase

LABEL = "k3j9x2fq7m"
HOST, SEAT_HOST = "docker.example.com", f"docker-{LABEL}.example.com"
EVERYTHING = SeatClient(LABEL, has_certificate=True, has_link=True)
WITH_CERTIFICATE = ("docker", "podman", "crio", "containerd", "kubelet", "nerdctl")


class SeatGuideTests(GuideCase):
    """Certificate, host, link, login: the first that the client can send."""

    def proof(self, tool: str, client: SeatClient, text: str = "") -> str:
        """What stands in the guide of a client."""
        made = seat_guide(tool, client, located(text or self.tls()))
        told = " ".join(each.text for each in blocks(made))
        texts = {each.text for each in made.steps}
        found = {
            "certificate": "client.cert" in told,
            "host": SEAT_HOST in told,
            "link": "docker.link" in texts,
            "login": made.login_needed,
        }
        self.assertEqual(sum(found.values()), 1, (tool, client, found))
        return next(name for name, there in found.items() if there)

    def test_order(self) -> None:
        """Each client has one proof, the first of those that it can send."""
        for tool in TOOLS:
            client = EVERYTHING
            if tool in WITH_CERTIFICATE:
                self.assertEqual(self.proof(tool, client), "certificate", tool)
            client = replace(client, has_certificate=False)
            self.assertEqual(self.proof(tool, client), "host", tool)
            client = replace(client, label="")
            last = "link" if tool == "docker" else "login"
            self.assertEqual(self.proof(tool, client), last, tool)
            self.assertEqual(self.proof(tool, SeatClient()), "login", tool)
        for tool in ("k3s", "buildkit"):
            self.assertEqual(self.proof(tool, EVERYTHING), "host", tool)
            self.assertEqual(self.proof(tool, replace(EVERYTHING, label="")), "login", tool)

    def test_no_tls(self) -> None:
        """A certificate is nothing without TLS, a host nothing where an address is all."""
        for tool in TOOLS:
            self.assertEqual(self.proof(tool, EVERYTHING, NAMED), "host", tool)
        bare = PLAIN.replace("endpoint: 5000", 'endpoint: "tcp:5000:interface=192.0.2.1"')
        self.assertEqual(self.proof("docker", EVERYTHING, bare), "link")
        self.assertEqual(self.proof("podman", EVERYTHING, bare), "login")

    def test_docker_without_a_proof(self) -> None:
        """It is said what Docker lacks, and how its person logs in until then."""
        made = seat_guide("docker", SeatClient(), located(NAMED))
        self.assertEqual(made.steps[0].text, "docker.none")
        self.assertIn(f"docker login --username ACCOUNT_NAME {HOST}:5000", commands(made))

    def test_certificate(self) -> None:
        """Commands put it where the client looks, and the proof shows the same."""
        made = seat_guide("containerd", EVERYTHING, located(self.tls()))
        folder = f"/etc/containerd/certs.d/{HOST}"
        pair = [f"{folder}/client.cert", f"{folder}/client.key"]
        self.assertIn(f"install -D -m 0600 client.key {pair[1]}", commands(made))
        hosts = tomllib.loads(files(made)["/etc/containerd/certs.d/docker.io/hosts.toml"])
        self.assertEqual(hosts["host"][f"https://{HOST}"]["client"], [pair])
        words = shlex.split(commands(made)[-1])
        self.assertEqual(words[words.index("--cert") + 1], pair[0])
        self.assertEqual(words[words.index("--key") + 1], pair[1])

    def test_host(self) -> None:
        """The host stands in the place of the cache's own, with the authority for it."""
        made = seat_guide("docker", SeatClient(LABEL), located(self.tls()))
        found = files(made)
        mirrors = json.loads(found[DAEMON_JSON])["registry-mirrors"]
        self.assertEqual(mirrors, [f"https://{SEAT_HOST}"])
        self.assertEqual(found[f"/etc/docker/certs.d/{SEAT_HOST}/ca.crt"], self.authority)

    def test_upstreams(self) -> None:
        """A seat has no mirrors for what it may not use; an administrator is not narrowed."""
        config = loads(NAMED, "regcache.yml", {}).config
        served = served_here(config, "box")
        seat = Seat(name="alice", upstreams=("index.docker.io",))
        for admins, wanted in (((), ["docker.io"]), (("alice",), [])):
            access = replace(config.access, admins=admins)
            seen = for_seat(served, seat_client(access, seat)).registries
            names = [each.name for each in seen]
            self.assertEqual(names, wanted or [each.name for each in served.registries])

    def test_seat(self) -> None:
        """What a seat has is what it can show; a link is nothing where none is let in."""
        access = loads(NAMED, "regcache.yml", {}).config.access
        seat = Seat(name="alice", host=LABEL, knock="0" * 64, certificates=("1" * 64,))
        self.assertEqual(seat_client(access, seat), replace(EVERYTHING, has_link=False))
        self.assertEqual(seat_client(replace(access, knock=60.0), seat), EVERYTHING)
        self.assertNotIn(LABEL, repr(seat_client(access, seat)))

    def test_private_authority(self) -> None:
        """The proof trusts the authority that the client trusts, in the file that it has."""
        for tool in TOOLS:
            made = seat_guide(tool, EVERYTHING, located(self.tls()))
            words = shlex.split(commands(made)[-1])
            self.assertEqual(files(made)[words[words.index("--ca") + 1]], self.authority, tool)
