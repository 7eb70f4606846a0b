"""Writes docs/configuration.md, etc/regcache.yml and docs/api.md anew (make docs)."""

from pathlib import Path

from regcache.admin.api.documentation import fill_in_calls
from regcache.admin_api import CALLS
from regcache.config.example import render_example
from regcache.config.reference import fill_in

TREE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write all of them."""
    reference = TREE / "docs" / "configuration.md"
    reference.write_text(fill_in(reference.read_text(encoding="utf-8")), encoding="utf-8")
    (TREE / "etc" / "regcache.yml").write_text(render_example(), encoding="utf-8")
    api = TREE / "docs" / "api.md"
    api.write_text(fill_in_calls(api.read_text(encoding="utf-8"), CALLS), encoding="utf-8")


if __name__ == "__main__":
    main()
