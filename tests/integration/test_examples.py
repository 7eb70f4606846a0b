"""The examples of etc/ do what they are for: each is loaded by the program that it is made for."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from regcache.config.loading import load
from tests.access.accounts import hashed
from tests.integration.base import UPSTREAM, PullThroughCase, certificates
from tests.support.clients import Skopeo
from tests.support.front_proxies import FrontProxy, haproxy, nginx
from tests.support.images import MIB, mixed_image
from tests.support.processes import CHECKOUT, find_program, free_port, require, run, unavailable
from tests.support.servers import Regcache

EXAMPLES = CHECKOUT / "etc"
#: ``make test`` puts it there.
VALIDATE = CHECKOUT / ".venv-tools" / "bin" / "kubernetes-validate"
IMAGE = mixed_image("examples", 2 * MIB)
LAYER = IMAGE.blobs[1]
#: An address of this machine that the daemon sees only if the proxy says so.
CLIENT = "127.0.0.5"
#: From the configuration of the daemon, and what stands for it in that of a proxy in front.
PROXY_PROTOCOL, TRUSTED = "proxy-protocol.yml", "trusted-proxy.yml"


class ProxyExampleTests(PullThroughCase):
    """What etc/proxy has for the daemon and for the proxy in front, with other ports and files."""

    def setUp(self) -> None:
        upstream = self.faulty_upstream()
        upstream.add_image("team/app", IMAGE, "1")
        self.place = self.workspace()
        self.etc = self.place.path
        certificate = certificates().certificate
        chain, key = certificate.chain.read_text(), certificate.key.read_text()
        for name, text in (
            ("tls/fullchain.pem", chain),
            ("tls/key.pem", key),
            ("regcache.pem", chain + key),
            ("htpasswd", f"alice:{hashed('secret').decode()}\n"),
        ):
            self.place.file(name, text)
        self.upstreams = {UPSTREAM: {"urls": [upstream.url]}}
        self.front = free_port()

    def _here(self, text: str, behind: int) -> str:
        """With the files and ports of this test."""
        text = re.sub(r"/etc/(regcache|nginx|haproxy)/", f"{self.etc}/", text)
        text = re.sub(r"\b(5000|5443)\b", str(behind), text)
        text = text.replace("bind :443", f"bind 127.0.0.1:{self.front}")
        return text.replace("listen 443", f"listen 127.0.0.1:{self.front}")

    def begin(self, name: str) -> Regcache:
        """The daemon with one of the two configurations."""
        behind = free_port()
        text = (EXAMPLES / "proxy" / name).read_text(encoding="utf-8")
        config = yaml.safe_load(self._here(text, behind))
        config |= {"upstreams": self.upstreams, "default_upstream": UPSTREAM}
        config["admin"] = {"socket": str(self.etc / "admin.sock")}
        daemon = Regcache(config, None, behind)
        self.addCleanup(daemon.close)
        if name == PROXY_PROTOCOL:  # for those who wait until it answers
            daemon.port = free_port()
            config["listeners"].append({"endpoint": f"tcp:{daemon.port}:interface=127.0.0.1"})
        self.behind = behind
        return daemon.start()

    def curl(self, target: str, *options: str) -> Path:
        """Fetch something as a client with an address of its own; the file that came."""
        require("curl")
        file = self.etc / "body"
        trust = ["--cacert", str(certificates().authority.file), "--interface", CLIENT]
        url = f"https://127.0.0.1:{self.front}{target}"
        run(["curl", "-sSf", *trust, "-u", "alice:secret", "-o", str(file), *options, url])
        return file

    def assert_works(self, daemon: str, proxy: str, start: Callable[..., FrontProxy]) -> None:
        """Real clients log in and pull through both; the access line has the client's address."""
        served = self.begin(daemon)
        text = (EXAMPLES / "proxy" / proxy).read_text(encoding="utf-8")
        self.addCleanup(start(self._here(text, self.behind), self.front).close)
        authfile = self.etc / "auth.json"
        skopeo = Skopeo(certificates().trust, authfile=authfile)
        skopeo.login(f"127.0.0.1:{self.front}", ("alice", "secret"))
        self.assert_arrived(IMAGE, skopeo.pull(f"127.0.0.1:{self.front}/team/app:1"), True)
        blob = f"/v2/team/app/blobs/{LAYER.digest}"
        for options in ([], ["-H", "X-Forwarded-For: 192.0.2.7", "-H", "X-Forwarded-Proto: http"]):
            self.assertEqual(self.curl(blob, *options).read_bytes(), LAYER.data)
        words = (f" peer={CLIENT} ", "account=alice", "kind=blob", "status=200", "outcome=hit")
        self.assert_logged(served, *words, times=2)
        self.assertNotIn("192.0.2.7", served.log())
        self.assertNotIn("Traceback", served.log())

    def test_haproxy_tcp(self) -> None:
        """HAProxy passes connections on, with the PROXY protocol."""
        self.assert_works(PROXY_PROTOCOL, "haproxy-tcp.cfg", haproxy)

    def test_haproxy_http(self) -> None:
        """HAProxy ends TLS, and adds a header."""
        self.assert_works(TRUSTED, "haproxy-http.cfg", haproxy)

    def test_nginx_stream(self) -> None:
        """nginx passes connections on, with the PROXY protocol."""
        if not Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
            unavailable("not installed here: libnginx-mod-stream")
        self.assert_works(PROXY_PROTOCOL, "nginx-stream.conf", nginx)

    def test_nginx_http(self) -> None:
        """nginx ends TLS, and adds a header."""
        self.assert_works(TRUSTED, "nginx-http.conf", nginx)


class ContainerExampleTests(PullThroughCase):
    """Compose and Kubernetes, as their own tools read them."""

    def assert_taken(self, file: Path) -> dict[str, Any]:
        """check-config takes a configuration, and the daemon gets what it says."""
        ctl = [sys.executable, "-m", "regcache.ctl", "check-config", str(file)]
        self.assertEqual(run(ctl, environment={"PYTHONPATH": str(CHECKOUT)}).stdout, "ok\n")
        load(str(file), {})
        found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
        self.assertEqual(found["listeners"], [{"endpoint": "tcp:5000"}])
        self.assertEqual(found["admin"]["socket"], "/run/regcache/admin.sock")
        return found

    def test_compose(self) -> None:
        """docker compose takes the file; folders, user and port are those of the image."""
        require("docker-compose")
        file = EXAMPLES / "compose" / "compose.yml"
        command = ["docker-compose", "-f", str(file), "config", "--format", "json"]
        service = json.loads(run(command).stdout)["services"]["regcache"]
        image = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
        self.assertEqual(Path(service["build"]["context"]), CHECKOUT)
        places = {each["target"]: each for each in service["volumes"]}
        for place in re.findall("^VOLUME (.*)$", image, re.MULTILINE):
            self.assertEqual(places[place]["type"], "volume")
        own = Path(places["/etc/regcache"]["source"])
        self.assertEqual(own, file.parent / "regcache")
        self.assert_taken(own / "regcache.yml")
        (port,) = service["ports"]
        self.assertIn(f"EXPOSE {port['target']}\n", image)
        self.assertEqual(port["host_ip"], "127.0.0.1")
        run_folder, _ = service["tmpfs"]
        self.assertIn("uid=5000,gid=5000", run_folder)
        self.assertIn("--uid 5000 --gid regcache", image)
        self.assertIn("--gid 5000 regcache", image)

    def test_kubernetes(self) -> None:
        """The objects fit their schemas, and each other; the daemon takes its configuration."""
        file = EXAMPLES / "kubernetes" / "regcache.yml"
        if not VALIDATE.exists() and find_program("kubernetes-validate") is None:
            unavailable("not installed here: kubernetes-validate (make .venv-tools/.installed)")
        program = str(VALIDATE) if VALIDATE.exists() else "kubernetes-validate"
        run([program, "--strict", str(file)])
        objects = {
            each["kind"]: each for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        }
        config = self.workspace().file("regcache.yml", objects["ConfigMap"]["data"]["regcache.yml"])
        self.assert_taken(config)
        template = objects["Deployment"]["spec"]["template"]
        labels = template["metadata"]["labels"]
        self.assertEqual(objects["Service"]["spec"]["selector"], labels)
        self.assertEqual(objects["Deployment"]["spec"]["selector"]["matchLabels"], labels)
        pod = template["spec"]
        (container,) = pod["containers"]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        self.assertEqual(ports, {"registry": 5000, "metrics": 9100})
        paths = [container[f"{each}Probe"]["httpGet"] for each in ("startup", "liveness")]
        self.assertEqual(paths, [{"path": "/healthz", "port": "registry"}] * 2)
        ready = {"path": "/readyz", "port": "registry"}
        self.assertEqual(container["readinessProbe"]["httpGet"], ready)
        volumes = {each["name"]: each for each in pod["volumes"]}
        self.assertEqual({each["name"] for each in container["volumeMounts"]}, set(volumes))
        claim = volumes["cache"]["persistentVolumeClaim"]["claimName"]
        self.assertEqual(claim, objects["PersistentVolumeClaim"]["metadata"]["name"])
        name = volumes["config"]["configMap"]["name"]
        self.assertEqual(name, objects["ConfigMap"]["metadata"]["name"])
