"""Completion of regcachectl for bash, zsh and fish, of its command tree."""

from collections.abc import Iterable, Sequence

from tools.command_tree import Argument, Command


def _words(values: Iterable[str]) -> str:
    return " ".join(values)


def _quoted(text: str) -> str:
    """Within single quotes, for sh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _top(commands: Sequence[Command]) -> list[Command]:
    """Commands that are not within others."""
    return [one for one in commands if " " not in one.name]


def _inner(commands: Sequence[Command], name: str) -> list[str]:
    """The names within a command."""
    within = [one.name for one in commands if one.name.startswith(f"{name} ")]
    return [one.removeprefix(f"{name} ") for one in within]


def _flags(command: Command) -> list[str]:
    return [flag for option in command.options for flag in option.flags]


# bash


def bash(commands: Sequence[Command]) -> str:
    """A file for bash-completion."""
    cases = "".join(_bash_case(one, commands) for one in _top(commands))
    names = _words(one.name for one in _top(commands))
    return f"""\
# bash completion for regcachectl

_regcachectl() {{
    local cur prev command=
    cur=${{COMP_WORDS[COMP_CWORD]}}
    prev=${{COMP_WORDS[COMP_CWORD - 1]}}
    if [ "$COMP_CWORD" -gt 1 ]; then command=${{COMP_WORDS[1]}}; fi
    case $command in
{cases}    *) COMPREPLY=($(compgen -W '{names} --help --version' -- "$cur")) ;;
    esac
}} &&
    complete -o filenames -F _regcachectl regcachectl
"""


def _bash_case(command: Command, commands: Sequence[Command]) -> str:
    values = "".join(
        f"        {'|'.join(one.flags)}) {_bash_values(one)}; return ;;\n"
        for one in command.options
        if one.value
    )
    words = [*_flags(command), *_inner(commands, command.name)]
    words += [choice for one in command.positional for choice in one.choices]
    files = any(one.is_file for one in command.positional)
    plain = f"""COMPREPLY=($(compgen -W '{_words(words)}' -- "$cur"))"""
    if files:
        plain += f"\n        [[ $cur == -* ]] || {_FILES}"
    inner = f"        case $prev in\n{values}        esac\n" if values else ""
    return f"    {command.name})\n{inner}        {plain}\n        ;;\n"


_FILES = 'COMPREPLY=($(compgen -f -- "$cur"))'


def _bash_values(option: Argument) -> str:
    if option.choices:
        return f"""COMPREPLY=($(compgen -W '{_words(option.choices)}' -- "$cur"))"""
    return _FILES if option.is_file else "COMPREPLY=()"


# zsh


def zsh(commands: Sequence[Command]) -> str:
    """A file for zsh's fpath."""
    names = "\n".join(f"        {_quoted(f'{one.name}:{one.help}')}" for one in _top(commands))
    cases = "".join(_zsh_case(one, commands) for one in _top(commands))
    return f"""\
#compdef regcachectl

local state line
_arguments -C \\
    '(- *)'{{-h,--help}}'[show help]' \\
    '(- *)--version[show the version]' \\
    '1:command:->command' \\
    '*::argument:->argument'
case $state in
command)
    local -a commands=(
{names}
    )
    _describe command commands
    ;;
argument)
    case $line[1] in
{cases}    esac
    ;;
esac
"""


def _zsh_case(command: Command, commands: Sequence[Command]) -> str:
    specs = [_zsh_option(one, flag) for one in command.options for flag in one.flags]
    inner = _inner(commands, command.name)
    specs += [_quoted(f"1:command:({_words(inner)})")] if inner else []
    for one in command.positional if not inner else ():
        specs.append(_quoted(f"*:{_zsh_text(one.value.lower())}:{_zsh_values(one)}"))
    joined = " \\\n            ".join(dict.fromkeys(specs))
    return f"    {command.name})\n        _arguments \\\n            {joined}\n        ;;\n"


def _zsh_text(text: str) -> str:
    for character in "\\[]:":
        text = text.replace(character, f"\\{character}")
    return text


def _zsh_option(option: Argument, flag: str) -> str:
    value = f":{_zsh_text(option.value.lower())}:{_zsh_values(option)}" if option.value else ""
    return _quoted(f"{flag}[{_zsh_text(option.help)}]{value}")


def _zsh_values(argument: Argument) -> str:
    if argument.choices:
        return f"({_words(argument.choices)})"
    return "_files" if argument.is_file else " "


# fish


def fish(commands: Sequence[Command]) -> str:
    """A file for fish's completions."""
    lines = ["# fish completion for regcachectl", "complete -c regcachectl -f"]
    top = "__fish_use_subcommand"
    lines.append(f"complete -c regcachectl -n {top} -l version -d 'show the version'")
    for command in _top(commands):
        lines.append(
            f"complete -c regcachectl -n {top} -a {command.name} -d {_fish_text(command.help)}"
        )
    for command in _top(commands):
        seen = _fish_text(f"__fish_seen_subcommand_from {command.name}")
        begin = f"complete -c regcachectl -n {seen}"
        lines += [f"{begin} {_fish_option(one)}" for one in command.options]
        inner = _inner(commands, command.name)
        lines += [f"{begin} -a {_fish_text(_words(inner))}"] if inner else []
        for one in command.positional if not inner else ():
            if one.choices:
                lines.append(f"{begin} -a {_fish_text(_words(one.choices))}")
            elif one.is_file:
                lines.append(f"{begin} -F")
    return "\n".join(lines) + "\n"


def _fish_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _fish_option(option: Argument) -> str:
    parts = []
    for flag in option.flags:
        parts.append(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}")
    if option.choices:
        parts.append(f"-x -a {_fish_text(_words(option.choices))}")
    elif option.value:
        parts.append("-r -F" if option.is_file else "-x")
    return " ".join([*parts, f"-d {_fish_text(option.help)}"])
