"""Writes a first configuration for ``make run``, and says what to type next.

``python tools/first_run.py DIRECTORY`` keeps a configuration that is there already.
"""

import sys
from pathlib import Path

LISTENER = "127.0.0.1:5000"

CONFIGURATION = """\
# Written by "make run" at its first start; yours to change. docs/configuration.md has every key.
listeners:
  - endpoint: tcp:5000:interface=127.0.0.1
admin:
  endpoint: tcp:5001:interface=127.0.0.1
storage:
  directory: "{cache}"
upstreams:
  docker.io:
  gcr.io:
  registry.k8s.io:
  quay.io:
  ghcr.io:
  mcr.microsoft.com:
"""

NEXT = """\
configuration  {file}
cache          {cache}
listening on   http://{listener} once the log below says so; Ctrl-C stops it
try, in another terminal:
  curl -i http://{listener}/v2/library/alpine/manifests/latest
  skopeo inspect --tls-verify=false docker://{listener}/ghcr.io/astral-sh/uv:latest
  podman pull --tls-verify=false {listener}/quay.io/podman/hello
  docker: {{"registry-mirrors": ["http://{listener}"]}} in /etc/docker/daemon.json
  metrics: curl http://127.0.0.1:5001/metrics
  what it does: .venv/bin/regcachectl status --url http://127.0.0.1:5001 (also ls, requests --why)
"""


def main(directory: str) -> None:
    """Write the configuration unless there is one, and print what comes next."""
    folder = Path(directory).resolve()
    file, cache = folder / "regcache.yml", folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        quoted = str(cache).replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${")
        file.write_text(CONFIGURATION.format(cache=quoted))
    print(NEXT.format(file=file, cache=cache, listener=LISTENER), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
