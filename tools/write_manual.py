"""Writes manual pages and completion into a folder: python3 tools/write_manual.py FOLDER.

They are made of the schema of the configuration and of the command lines themselves, when a
package is built. The date of the pages is that of SOURCE_DATE_EPOCH.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from regcache.ctl.main import parser
from regcache.tap import Options
from tools import completions
from tools.command_tree import commands
from tools.man_pages import configuration_page, control_page, daemon_page, page


def written(date: str) -> dict[str, str]:
    """The content of each file, by its name.

    :param date: as ``2026-01-31``.
    """
    tree = list(commands(parser()))
    options = [(long, short, default, text) for long, short, default, text in Options.optParameters]
    return {
        "regcachectl.1": page("regcachectl", 1, date, control_page(tree)),
        "regcache.yml.5": page("regcache.yml", 5, date, configuration_page()),
        "regcache.8": page("regcache", 8, date, daemon_page(options)),
        "regcachectl.bash": completions.bash(tree),
        "_regcachectl": completions.zsh(tree),
        "regcachectl.fish": completions.fish(tree),
    }


def main() -> None:
    """Write all of them."""
    os.environ["COLUMNS"] = "100"
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    for name, text in written(date).items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
