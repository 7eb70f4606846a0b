"""The units of systemd: what they restrict, and where the sockets listen."""

import subprocess

from twisted.trial.unittest import SynchronousTestCase

from regcache.config.loading import loads
from tests.support.processes import CHECKOUT, require

UNITS = CHECKOUT / "etc" / "systemd"
#: Tenths: what systemd says of the exposure of a service.
MOST_EXPOSED = 13


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit, of all sections: each may be there several times."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        key, is_set, value = line.partition("=")
        if is_set and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


class UnitTests(SynchronousTestCase):
    """The service and its sockets."""

    def test_exposure(self) -> None:
        """systemd rates the exposure of the service at 1.3 of 10 or less."""
        require("systemd-analyze")
        command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
        done = subprocess.run(
            [*command, f"--threshold={MOST_EXPOSED}", str(UNITS / "regcache.service")],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_service(self) -> None:
        """It has its own user, one capability, and time to drain; systemd makes its folders."""
        settings = unit("regcache.service")
        for key, value in {
            "Type": "notify-reload",
            "User": "regcache",
            "StateDirectory": "regcache",
            "RuntimeDirectory": "regcache",
            "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
            "AmbientCapabilities": "CAP_NET_BIND_SERVICE",
        }.items():
            self.assertEqual(settings[key], [value], key)
        self.assertIn("check-config", settings["ExecReload"][0])
        for key in ("LimitNOFILE", "OOMPolicy", "WatchdogSec", "RestartMaxDelaySec"):
            self.assertIn(key, settings)

    def test_sockets(self) -> None:
        """Each socket is that of a listener that a plain or a short configuration has."""
        usual = [*loads("upstreams: {docker.io: }", "f", {}).config.listeners]
        addresses = {each.endpoint for each in usual} | {"80", "443"}
        found = set()
        for path in UNITS.glob("*.socket"):
            settings = unit(path.name)
            (address,) = settings["ListenStream"]
            self.assertEqual(settings["Service"], ["regcache.service"])
            host, colon, port = address.rpartition(":")
            found.add(f"tcp:{port}:interface={host}" if colon else port)
        self.assertEqual(found, addresses)

    def test_readable(self) -> None:
        """Each unit can be parsed, and no setting that may be given once is given twice."""
        several = {"SystemCallFilter", "IPAddressAllow", "Documentation", "Environment"}
        for path in UNITS.iterdir():
            for key, values in unit(path.name).items():
                self.assertTrue(len(values) == 1 or key in several, (path.name, key))
