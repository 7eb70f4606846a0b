"""Writes docs/configuration.md and etc/regcache.yml anew from the schema (make docs)."""

from pathlib import Path

from regcache.config.example import render_example
from regcache.config.reference import fill_in

TREE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write both."""
    reference = TREE / "docs" / "configuration.md"
    reference.write_text(fill_in(reference.read_text(encoding="utf-8")), encoding="utf-8")
    (TREE / "etc" / "regcache.yml").write_text(render_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
