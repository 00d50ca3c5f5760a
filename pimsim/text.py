"""Text from a user on its way out: to a terminal, into a CSV file, into a file name.

Names come from files that somebody else may have written.  What a terminal, a
spreadsheet or a file system would take for more than text is made harmless here, and
nowhere else.  JSON, YAML and Parquet keep every text as it is.
"""

from __future__ import annotations

import unicodedata
from typing import Any

LONGEST_NAME = 200  # bytes of a file name; file systems allow 255, and suffixes are added
_FORMULA = tuple("=+-@")  # how a cell begins that a spreadsheet takes for a formula (OWASP, CSV injection)
_SEPARATORS = "/\\"  # of folders, on any system


def one_line(text: str) -> str:
    """Text that stays on one line of a terminal and moves nothing there: `\\x1b` for an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def on_screen(text: str, encoding: str | None = None) -> str:
    """As `one_line`, of several lines; what `encoding` does not have is escaped as well."""
    shown = "\n".join(map(one_line, text.split("\n")))
    if encoding is None or shown.isascii():
        return shown
    try:
        return shown.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return shown


def csv_cell(value: Any) -> Any:
    """A cell on one line that no spreadsheet computes: a formula gets a ' in front; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def not_text(text: str) -> str | None:
    """What is said of a text that no file and no screen can hold; None if all can."""
    for what, found in (("a NUL character", "\0" in text), ("half a surrogate pair", not _is_unicode(text))):
        if found:
            return f"has {what}, which no text may have"
    return None


def not_a_file_name(name: str) -> str | None:
    """What is said of a name that cannot be that of one file in a folder; None if it can."""
    wrong = not_text(name)
    if wrong:
        return wrong
    if name.strip(". ") == "":
        return f"must be a file name, not {name!r}"
    bad = next((c for c in name if c in _SEPARATORS or unicodedata.category(c) == "Cc"), None)
    if bad is not None:
        return f"must be a file name: {bad!r} may not be in it"
    size = len(name.encode())
    return None if size <= LONGEST_NAME else f"must be a file name: at most {LONGEST_NAME} bytes, not {size}"


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
