"""Text from elsewhere: made visible where a terminal would obey it; files that are read, and written, whole or not at all."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

__all__ = ["MOST_BYTES", "docstring", "read_text", "visible", "write_text"]

#: The most bytes of a file that is read as one piece.
MOST_BYTES = 8 * 2**20
#: Control characters but the tab and the end of a line, what ends a line elsewhere, what turns text around, and surrogates.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Text with its control characters spelled out, so that it can be shown on a terminal and written as UTF-8.

    Examples
    --------
    >>> print(visible("a\x1b[31mb\ud800"))
    a\x1b[31mb\ud800
    """
    return text if text.isprintable() else _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def docstring(said: str, versions: Mapping[str, str]) -> str:
    r"""The docstring of a script that shows a fault: nothing that is said there can end it, or mean anything in it.

    Examples
    --------
    >>> import ast
    >>> ast.literal_eval(docstring('a "fault"\\', {"lib": "1.0"})).split("\n")[0]
    "a 'fault'/"
    """
    found = ", ".join(f"{package} {version}" for package, version in versions.items()) or "unknown versions"
    texts = (said, f"Found with {found}. Exits with status 1 while the fault is there.")
    safe = (visible(text).replace("\\", "/").replace('"', "'") for text in texts)
    return '"""' + "\n\n".join(textwrap.fill(text, 100) for text in safe) + '\n"""'


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """The text of a file.

    Raises
    ------
    OSError
        If it cannot be read, or is no file, or has too many bytes: `strerror` says which.
    UnicodeDecodeError
    """
    if path.exists() and not path.is_file():
        raise OSError(0, "Not a file")
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(0, f"it has more than {most >> 20} MiB")
    return data.decode("utf-8").replace("\r\n", "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file in one piece: where that fails, what was there before is still there."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, "utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
