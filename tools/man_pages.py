"""The manual pages: regcachectl(1) of its parser, regcache.yml(5) of the schema, regcache(8)."""

import re
from collections.abc import Iterator, Sequence
from textwrap import dedent
from typing import Any

from regcache import __version__
from regcache.config.keys import REQUIRED, Key, Section, sections_in
from regcache.config.known import KNOWN
from regcache.config.model import ROOT
from regcache.config.reference import flow
from tools.command_tree import Argument, Command

_STATUSES = (
    ("0", "done"),
    ("1", "it failed, or the daemon refused it"),
    ("2", "wrong usage"),
    ("3", "no daemon answers"),
)
_CODE = re.compile(r"`([^`]*)`")


def page(name: str, section: int, date: str, body: str) -> str:
    """A whole page.

    :param date: as ``2026-01-31``.
    """
    source = f"regcache {__version__}"
    return f'.TH {name.upper()} {section} {date} "{source}" "regcache"\n{body}'


def escaped(text: str) -> str:
    """Text for roff: nothing in it is a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def prose(text: str) -> str:
    """Markdown of one paragraph: code is bold, links are their text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = _CODE.split(" ".join(text.split()))
    return "".join(
        f"\\fB{escaped(part)}\\fR" if number % 2 else escaped(part)
        for number, part in enumerate(parts)
    )


def bold(text: str) -> str:
    """Bold text."""
    return f"\\fB{escaped(text)}\\fR"


def _item(title: str, text: str) -> str:
    return f".TP\n{title}\n{text}\n"


def _examples(*lines: str) -> str:
    return ".nf\n.RS\n" + "\n".join(escaped(line) for line in lines) + "\n.RE\n.fi\n"


# regcachectl(1)


def control_page(commands: Sequence[Command]) -> str:
    """The body of regcachectl(1)."""
    text = dedent("""\
        .SH NAME
        regcachectl \\- operate a running regcache
        .SH SYNOPSIS
        .B regcachectl
        .I COMMAND
        .RI [ OPTION " ...] [" ARGUMENT " ...]"
        .br
        .B regcachectl \\-\\-version
        .SH DESCRIPTION
        Asks the daemon
        .BR regcache (8)
        by its unix socket, or by a URL.
        .SH COMMANDS
        """)
    text += "".join(_command(one) for one in commands)
    text += ".SH EXIT STATUS\n" + "".join(_item(bold(each), why) for each, why in _STATUSES)
    return text + dedent("""\
        .SH ENVIRONMENT
        .TP
        .B REGCACHE_SOCKET
        The unix socket to ask, unless the command line names one.
        .TP
        .B REGCACHE_PASSWORD
        The password of the account that
        .B \\-\\-user
        names.
        .SH FILES
        .TP
        .I /etc/regcache/regcache.yml
        Its
        .B admin.socket
        is asked where nothing else is named.
        .TP
        .I /run/regcache/admin.sock
        The usual socket. It is open to root and to the group
        .BR regcache .
        .SH SEE ALSO
        .BR regcache (8),
        .BR regcache.yml (5)
        """)


def _command(command: Command) -> str:
    text = f".SS {escaped(command.name)}\n{escaped(command.usage)}\n.PP\n"
    text += f"{prose(command.description)}\n"
    for argument in (*command.positional, *command.options):
        if "--help" not in argument.flags and argument.value + "".join(argument.flags):
            text += _item(_argument_title(argument), prose(argument.help) or "\\&")
    if command.epilog:
        text += ".PP\n" + _examples(*command.epilog.splitlines())
    return text


def _argument_title(argument: Argument) -> str:
    value = f"\\fI{escaped(argument.value)}\\fR" if argument.value else ""
    if not argument.flags:
        return value
    return ", ".join(bold(flag) for flag in argument.flags) + (f" {value}" if value else "")


# regcache.yml(5)


def configuration_page() -> str:
    """The body of regcache.yml(5)."""
    text = dedent("""\
        .SH NAME
        regcache.yml \\- configuration of regcache
        .SH SYNOPSIS
        .I /etc/regcache/regcache.yml
        .SH DESCRIPTION
        A YAML file, in which unknown keys and wrong values are errors.
        """)
    text += _examples(
        "regcachectl check-config /etc/regcache/regcache.yml",
        "regcachectl check-config --print /etc/regcache/regcache.yml",
    )
    text += (
        "say what is wrong with it, and show the long form that it stands for, with all defaults.\n"
        "Sizes are written 50GiB, durations 2s, 10m, 1h or 30d.\n"
        f"{bold('${NAME}')} within a text is an environment variable, {bold('$${')} is literal.\n"
        "The daemon reads the file again when it is replaced, and upon\n"
        '.BR "systemctl reload regcache" .\n'
    )
    text += ".SH KEYS\n" + "".join(_keys(ROOT.keys, "", frozenset()))
    text += ".SH KNOWN REGISTRIES\n"
    text += "These need no URL, and are served where \\fBupstreams\\fR is absent:\n"
    text += "".join(_item(bold(name), escaped(known.url)) for name, known in KNOWN.items())
    return text + ".SH SEE ALSO\n.BR regcache (8),\n.BR regcachectl (1)\n"


def _keys(keys: Any, prefix: str, above: frozenset[int]) -> Iterator[str]:
    known = above | {id(key) for key in keys.values()}
    for name, key in keys.items():
        if id(key) in above:
            continue
        yield _item(bold(prefix + name), _key(key))
        for between, section in sections_in(key.type):
            yield from _keys(section.keys, f"{prefix}{name}{'[]' * len(between)}.", known)


def _key(key: Key) -> str:
    text = prose(key.text)
    if isinstance(key.type, Section):
        return text
    if key.default is REQUIRED:
        facts = "It has to be set."
    else:
        default = key.usually or f"`{flow(key.type.write(key.default))}`"
        facts = f"Default: {default}."
    if key.example:
        facts += f" For example `{key.example}`."
    if key.restart:
        facts += " Another value takes a restart."
    return f"{text}\n.br\n{prose(facts)}"


# regcache(8)


def daemon_page(options: Sequence[tuple[str, str, str, str]]) -> str:
    """The body of regcache(8).

    :param options: long name, short name, default and text of each option of the daemon.
    """
    items = "".join(
        _item(
            f"{bold(f'-{short}')}, {bold(f'--{long}')} \\fIVALUE\\fR",
            f"{prose(text)} Default: {escaped(default)}",
        )
        for long, short, default, text in options
    )
    return _DAEMON.replace("@OPTIONS@", items)


_DAEMON = dedent("""\
    .SH NAME
    regcache \\- caching proxy for container registries
    .SH SYNOPSIS
    .B twistd3 \\-\\-nodaemon \\-\\-pidfile= regcache
    .RB [ \\-\\-config
    .IR FILE ]
    .SH DESCRIPTION
    Stands between container clients and public registries, and keeps a copy of all that passes.
    It is one process, run by
    .BR twistd3 (1),
    with one file of configuration and one directory. The Debian package runs it as the service
    .BR regcache :
    .nf
    .RS
    systemctl status regcache
    journalctl \\-u regcache
    .RE
    .fi
    As it is installed it listens on 127.0.0.1:5000 alone, for the registries that it knows.
    .SH OPTIONS
    @OPTIONS@.SH SIGNALS
    .TP
    .BR SIGTERM ", " SIGINT
    No new connections; answers under way may take
    .B limits.drain
    to finish. A second one ends the process at once.
    .TP
    .B SIGHUP
    The configuration is read again. A wrong one is kept out whole, and its errors are logged.
    .SH SYSTEMD
    .B regcache.service
    has the sandbox and the user
    .BR regcache .
    It may write to
    .I /var/lib/regcache
    and
    .I /run/regcache
    alone.
    .PP
    .BR regcache.socket ", " regcache\\-http.socket " and " regcache\\-https.socket
    hold 127.0.0.1:5000, port 80 and port 443, so that no client is refused while the daemon is
    restarted. They are not enabled by default:
    .nf
    .RS
    systemctl stop regcache
    systemctl enable \\-\\-now regcache.socket
    .RE
    .fi
    .SH FILES
    .TP
    .I /etc/regcache/regcache.yml
    The configuration; see
    .BR regcache.yml (5).
    .TP
    .I /etc/default/regcache
    Environment variables of the service: proxies, and what
    .B ${NAME}
    in the configuration stands for.
    .TP
    .I /var/lib/regcache
    What is cached.
    .TP
    .I /run/regcache/admin.sock
    Where
    .BR regcachectl (1)
    finds the daemon.
    .SH SEE ALSO
    .BR regcachectl (1),
    .BR regcache.yml (5),
    .BR twistd3 (1)
    """)
