"""What TLS offers to the world, as openssl and sslyze see it."""

import json
import subprocess
from pathlib import Path

from tests.integration.base import PullThroughCase, upstream_config
from tests.support.processes import find_program, require, run, unavailable

#: ``make test`` puts it there: it wants another version of cryptography than the tests do.
SSLYZE = Path(__file__).resolve().parents[2] / ".venv-tools" / "bin" / "sslyze"

GOOD = ("X25519", "P-256", "P-384")
BAD = ("X448", "P-521")


class TLSSettingsTests(PullThroughCase):
    """Mozilla's guideline for servers, "intermediate"."""

    def setUp(self) -> None:
        self.daemon = self.regcache(upstream_config("http://127.0.0.1:1"), tls=True)

    def connects(self, *options: str) -> bool:
        """Whether openssl comes through the handshake."""
        require("openssl")
        command = ["openssl", "s_client", "-connect", self.daemon.tls_address, *options]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=60)
        return done.returncode == 0

    def test_groups(self) -> None:
        """X25519, P-256 and P-384 are offered for the key exchange, X448 and P-521 are not."""
        for group in GOOD:
            self.assertTrue(self.connects("-tls1_3", "-groups", group), group)
        for group in BAD:
            self.assertFalse(self.connects("-tls1_3", "-groups", group), group)

    def test_ciphers(self) -> None:
        """Without forward secrecy, or without authenticated encryption, nothing is offered."""
        self.assertTrue(self.connects("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"))
        for cipher in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "aNULL", "3DES"):
            self.assertFalse(self.connects("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0"), cipher)

    def test_sslyze(self) -> None:
        """sslyze complains of nothing but the certificate, which is one of these tests."""
        program = str(SSLYZE) if SSLYZE.exists() else find_program("sslyze")
        if program is None:
            unavailable("not installed here: sslyze (make .venv-tools/.installed)")
            return
        report = self.workspace().path / "report.json"
        address, target = f"--json_out={report}", f"localhost:{self.daemon.tls_port}"
        done = run([program, "--mozilla_config=intermediate", address, target], check=False)
        (found,) = json.loads(report.read_text())["server_scan_results"]
        self.assertEqual(found["connectivity_status"], "COMPLETED", done.stdout)
        _, _, verdict = done.stdout.partition("COMPLIANCE AGAINST")
        complaints = [line.strip() for line in verdict.splitlines() if line.strip().startswith("*")]
        self.assertIn("* certificate_path_validation", "".join(complaints), done.stdout)
        others = [line for line in complaints if not line.startswith("* certificate_")]
        self.assertEqual(others, [], verdict)
