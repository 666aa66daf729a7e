"""What stands on the command line of a script here."""

import sys


def arguments(usage: str | None, least: int, most: int = sys.maxsize) -> list[str]:
    """The arguments, at least and at most so many; or an end, with the script's docstring as ``usage``."""
    given = sys.argv[1:]
    asked = {"-h", "--help"} & set(given)
    if asked or not least <= len(given) <= most:
        print(usage, file=sys.stdout if asked else sys.stderr)
        raise SystemExit(0 if asked else 2)
    return given
