"""Globs of repositories and tags."""


def glob_matches(pattern: str, text: str) -> bool:
    """Whether a glob matches all of a text.

    ``*`` stands for any characters, slashes too, and ``?`` for one. The last ``*`` alone
    takes back what it stands for, so hostile texts cost no more than both lengths multiplied.
    """
    if pattern == "*":
        return True
    at, star, resume = 0, -1, 0
    position = 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[position]):
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return pattern[at:].strip("*") == ""
