"""Real clients pull through what ``regcachectl client-config`` writes, and ``prove`` says how."""

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from regcache.ctl.client_password import PASSWORD_VARIABLE
from regcache.ctl.main import parser
from tests.integration.access_base import ALICE, AccountsFile
from tests.integration.base import (
    UPSTREAM,
    PullThroughCase,
    catalog,
    certificates,
    public_upstream,
    shared,
    upstream_config,
)
from tests.integration.test_containerd import containerd
from tests.support.clients import Buildah, Podman, Skopeo, Trust
from tests.support.ctl import run_ctl
from tests.support.engines import Dockerd
from tests.support.servers import Regcache

MULTI = "team/multi"


def write_setup(daemon: Regcache, tool: str, root: Path, *options: str, **environment: str) -> str:
    """Have the files of a client written below a root; what was said."""
    url = f"http://127.0.0.1:{daemon.admin_port}"
    words = ("client-config", tool, "--url", url, "--write", "--root", str(root), *options)
    ran = run_ctl(*words, **environment)
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    return ran.stdout


class WrittenFilesTests(PullThroughCase):
    """Each client with the files that were written for it, twice: the second pull is a hit."""

    def registries(self, daemon: Regcache, address: str) -> tuple[Path, Path]:
        """The root, and registries.conf of podman, skopeo and buildah in it."""
        root = self.workspace().path
        write_setup(daemon, "podman", root, "--host", address, "--upstream", UPSTREAM)
        return root, root / "etc/containers/registries.conf.d/50-regcache.conf"

    def test_podman_buildah_skopeo(self) -> None:
        """One file for all three, which send a path."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        _, file = self.registries(daemon, daemon.address)
        for repository, kind, whole in (
            ("team/multi", Podman, False),
            ("library/mixed", Buildah, False),
            ("team/list", Skopeo, True),
        ):
            client = kind(conf=file)
            reference = f"{UPSTREAM}/{repository}:1"
            self.pull_twice(repository, lambda: client.pull(reference), whole)  # noqa: B023

    def test_podman_over_tls(self) -> None:
        """The authority that was written makes the certificate good."""
        daemon = self.regcache(upstream_config(public_upstream().url), tls=True)
        root, file = self.registries(daemon, f"https://{daemon.tls_address}")
        trusted = root / "etc/containers/certs.d" / daemon.tls_address
        self.assertEqual(
            (trusted / "ca.crt").read_text(), certificates().authority.file.read_text()
        )
        client = Podman(conf=file, trust=Trust(trusted, trusted / "ca.crt"))
        self.pull_twice(MULTI, lambda: client.pull(f"{UPSTREAM}/{MULTI}:1"), whole=False)

    def test_containerd(self) -> None:
        """A folder for each registry, with and without an account."""
        daemon = self.regcache(upstream_config(public_upstream().url))
        root = self.workspace().path
        write_setup(daemon, "containerd", root, "--host", daemon.address)
        option = f"--hosts-dir={root}/etc/containerd/certs.d"
        reference = f"{UPSTREAM}/{MULTI}:1"
        self.pull_twice(MULTI, lambda: containerd().pull(reference, option), whole=False)

    def test_containerd_with_an_account(self) -> None:
        """The header that was written is the account's."""
        accounts = AccountsFile(ALICE)
        self.addCleanup(accounts.close)
        access = {"access": {"htpasswd": str(accounts.path)}}
        daemon = self.regcache(upstream_config(public_upstream().url) | access)
        root = self.workspace().path
        words = ("--host", daemon.address, "--account", ALICE[0])
        write_setup(daemon, "containerd", root, *words, REGCACHE_CLIENT_PASSWORD=ALICE[1])
        option = f"--hosts-dir={root}/etc/containerd/certs.d"
        pulled = containerd().pull(f"{UPSTREAM}/{MULTI}:1", option)
        self.assert_arrived(catalog().images[MULTI], pulled, whole=False)


@shared
def written_dockerd() -> "WrittenDockerd":
    """One dockerd, whose daemon.json was merged."""
    return WrittenDockerd()


class WrittenDockerd:
    """dockerd with the file that client-config wrote into one that was there, and its cache."""

    def __init__(self) -> None:
        hub = {"upstreams": {"docker.io": {"urls": [public_upstream().url]}}}
        self.daemon = Regcache(hub).start()
        self.said = ""
        self.docker = Dockerd(False, configure=self._configure)

    def _configure(self, root: Path) -> None:
        self.said = write_setup(self.daemon, "docker", root, "--host", self.daemon.address)

    def close(self) -> None:
        """Stop both."""
        self.docker.close()
        self.daemon.close()


class WrittenDockerTests(PullThroughCase):
    """docker."""

    def test_docker(self) -> None:
        """The mirror is merged into what was there, and used."""
        written = written_dockerd()
        self.assertIn("daemon.json.bak", written.said)
        pull = lambda: written.docker.pull(f"{MULTI}:1")  # noqa: E731
        self.pull_twice(MULTI, pull, whole=False)


class ProveTests(PullThroughCase):
    """Hit, miss and bypass."""

    def prove(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit status and result. It runs in this process, which takes less than to start one."""
        options = parser().parse_args(["prove", "--json", "--timeout", "240", *words])
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status: int = options.run(options)
        return status, json.loads(out.getvalue())

    def assert_proved(self, verdict: str, *words: str) -> str:
        """This is the verdict; its reason."""
        status, told = self.prove(*words)
        self.assertEqual((told["verdict"], status), (verdict, int(verdict == "bypass")), told)
        return str(told["reason"])

    def test_verdicts(self) -> None:
        """A cold image is a miss, then a hit, to every client; elsewhere it is a bypass."""
        daemon = self.regcache(upstream_config(public_upstream().url), tls=True)
        image = f"{UPSTREAM}/{MULTI}:1"
        self.assert_proved("miss", daemon.address, image)
        self.assert_proved("hit", daemon.address, image)
        plain = f"http://{daemon.address}"
        self.assert_proved("hit", "--as", "podman", f"{plain}/{UPSTREAM}", image)
        self.assert_proved("hit", "--as", "docker", plain, image)
        secure = f"https://{daemon.tls_address}"
        authority = str(certificates().authority.file)
        self.assert_proved("hit", "--ca", authority, secure, image)
        self.assertIn("not trusted", self.assert_proved("bypass", secure, image))
        self.assertIn("NAME_UNKNOWN", self.assert_proved("bypass", plain, f"other.test/{MULTI}:1"))
        itself = self.assert_proved("bypass", public_upstream().url, image)
        self.assertIn("is not regcache", itself)
        self.assertIn("does not answer", self.assert_proved("bypass", "http://127.0.0.1:1", image))

    def test_login(self) -> None:
        """Who gets no login passes by; with an account it is a miss, then a hit."""
        accounts = AccountsFile(ALICE)
        self.addCleanup(accounts.close)
        access = {"access": {"htpasswd": str(accounts.path)}}
        daemon = self.regcache(upstream_config(public_upstream().url) | access)
        words = ("--account", ALICE[0], f"http://{daemon.address}", f"{UPSTREAM}/{MULTI}:1")
        image = words[-1]
        with patch.dict(os.environ, {PASSWORD_VARIABLE: ALICE[1]}):
            for verdict in ("miss", "hit"):
                self.assert_proved(verdict, *words)
        reason = self.assert_proved("bypass", "--as", "docker", f"http://{daemon.address}", image)
        self.assertIn("an account is needed", reason)


class DoctorTests(PullThroughCase):
    """``regcachectl doctor`` with a daemon that works, with one that does not, and without."""

    def doctor(self, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Status, and the lines by what was looked at."""
        ran = run_ctl("doctor", "--json", *words)
        found = json.loads(ran.stdout)["items"]
        return ran.returncode, {each["check"]: each for each in found}

    def test_doctor(self) -> None:
        """Everything that a pull needs is looked at; what is broken is bad, and sets the status."""
        upstream = self.faulty_upstream()
        upstream.add_image(MULTI, catalog().images[MULTI], "1")
        socket = self.workspace().path / "admin.sock"
        admin = {"endpoint": None, "socket": str(socket)}
        config = upstream_config(upstream.url) | {"admin": admin}
        daemon = self.regcache(config, tls=True)
        ran = run_ctl("prove", f"http://{daemon.address}", f"{UPSTREAM}/{MULTI}:1")
        self.assertEqual(ran.returncode, 0, ran.stdout)
        status, found = self.doctor("--socket", str(socket))
        levels = {check: each["level"] for check, each in found.items()}
        names = ("disk", "ports", "clients")
        fine = dict.fromkeys((*names, UPSTREAM, f"{UPSTREAM} manifest"), "ok")
        # The certificate is good for two days, and this upstream does not tell the time.
        wanted = fine | {"certificates": "look", "clock": "look"}
        self.assertEqual((status, levels | wanted), (0, levels), found)
        self.assertIn(f"{UPSTREAM}/{MULTI}:1", found[f"{UPSTREAM} manifest"]["text"])
        self.assertIn("/v2/", found[UPSTREAM]["text"])
        # How fast that was depends on how busy the machine is.
        self.assertRegex(found[f"{UPSTREAM} speed"]["text"], r"127\.0\.0\.1 sent 1\.0 MiB in ")
        upstream.close()
        status, found = self.doctor("--socket", str(socket))
        self.assertEqual((status, found[UPSTREAM]["level"]), (1, "bad"), found)
        self.assertEqual(found[UPSTREAM]["fix"], f"regcachectl test {UPSTREAM}")
        self.assertEqual(daemon.stop(), 0)
        status, found = self.doctor("-c", str(daemon.file))
        self.assertEqual((status, found["daemon"]["level"]), (1, "look"), found)
        self.assertEqual(found[UPSTREAM]["level"], "bad")
        self.assertEqual(run_ctl("doctor", "--socket", str(socket)).returncode, 3)
