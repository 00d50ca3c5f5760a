"""The arguments of a call as compiled code reads them: one vector of int64.

It has, of each argument in turn,

    an array    its address, then how far it extends in each dimension
    an integer  its value
    a tuple     its members in turn
    None        nothing

and the code has a form for each kind of arguments that it is called with.  `kinds_of` names it:
the dimensions of an array, behind a letter of `LETTERS` if it is not of int64, i for an integer,
- for None, a tuple in parentheses.  So code is called with one address, whatever the compiler
that made it makes of arrays and tuples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

NUMBER, NOTHING = "i", "-"
LETTERS = {"f": np.dtype(np.float32), "h": np.dtype(np.uint16)}  # of what arrays hold besides int64
_INT64 = np.dtype(np.int64)
_LETTER_OF = {dtype: letter for letter, dtype in LETTERS.items()}


def kind_of(argument: Any) -> str:
    """The kind of an argument; TypeError if compiled code cannot take it."""
    if argument is None:
        return NOTHING
    if isinstance(argument, np.ndarray):
        letter = "" if argument.dtype == _INT64 else _LETTER_OF.get(argument.dtype)
        if letter is None or not argument.flags.c_contiguous or argument.ndim not in range(1, 10):
            what = f"{argument.dtype} of {argument.ndim} dimensions"
            raise TypeError(f"compiled code takes arrays of int64 without gaps, or of float32 or uint16, not of {what}")
        return f"{letter}{argument.ndim}"
    if isinstance(argument, tuple):
        return f"({kinds_of(argument)})"
    if isinstance(argument, int | np.integer):
        return NUMBER
    raise TypeError(f"compiled code takes arrays, integers, tuples and None, not {type(argument).__name__}")


def kinds_of(arguments: Sequence[Any]) -> str:
    """The kinds of arguments, one behind the other."""
    return "".join(map(kind_of, arguments))


def words_of(argument: Any) -> list[int]:
    """What a frame has of an argument."""
    if argument is None:
        return []
    if isinstance(argument, tuple):
        return [word for member in argument for word in words_of(member)]
    if isinstance(argument, np.ndarray):
        return [argument.__array_interface__["data"][0], *argument.shape]
    return [int(argument)]
