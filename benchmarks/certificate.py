"""A certificate for this machine's loopback, made once by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files."""

    chain: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """An ECDSA certificate as public services have it; signed by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "chain.pem", folder / "key.pem")
    if not made.chain.exists():
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        files = ["-keyout", str(made.key), "-out", str(made.chain), "-days", "3650"]
        command = ["openssl", "req", *kind, *names, *files]
        subprocess.run(command, check=True, capture_output=True)
        made.key.chmod(0o600)
    return made
