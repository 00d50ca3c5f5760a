"""A function that Python calls, and that is compiled with all that it calls."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import update_wrapper
from itertools import accumulate
from typing import Any

from pimsim.dram.code import store
from pimsim.dram.code.frame import kind_of, words_of
from pimsim.dram.code.later import Later
from pimsim.dram.code.load import PLATFORM, Code, load
from pimsim.dram.code.target import TARGETS, widest


class Entry(Later):
    """A function of integers, arrays of int64, tuples of them and None, that returns an integer.

    Its code for each kind of arguments (`frame`) is found on disk, or made and kept there, when it
    is first called with such.  TypeError for arguments that compiled code cannot take.  `wide`: it
    has other code for processors with wider vectors (`target`).
    """

    def __init__(self, function: Callable[..., int], wide: bool = False) -> None:
        super().__init__(self._part)
        self.function, self.wide = function, wide
        self.forms: dict[str, Code] = {}
        ENTRIES.append(self)
        update_wrapper(self, function)

    def _part(self) -> Any:
        from pimsim.dram.code.emit import part

        return part(self.function)

    def __call__(self, *arguments: Any) -> int:
        """Call the code, once."""
        return self.bound()(*arguments)

    def bound(self) -> Call:
        """A way to call it that is faster where most arguments are those of the call before."""
        return Call(self)

    def form(self, kinds: str) -> Code:
        """The code for arguments of these kinds."""
        found = self.forms.get(kinds)
        if found is None:
            found = self.forms[kinds] = load(self.code(kinds, widest() if self.wide else PLATFORM))
        return found

    @property
    def targets(self) -> tuple[str, ...]:
        """What it has code for, on this platform."""
        return tuple(TARGETS) if self.wide else (PLATFORM,)

    def code(self, kinds: str, target: str) -> bytes:
        """The code for arguments of these kinds and a target, found on disk, or made and kept there."""
        found = store.find(self.function, kinds, target)
        if found is None:
            found = emit(self.function, kinds, target)
            store.keep(self.function, kinds, target, found)
        return found


ENTRIES: list[Entry] = []  # of the modules that are imported


def emit(function: Callable[..., int], kinds: str, target: str) -> bytes:
    """As `emit.emit`, which imports numba."""
    from pimsim.dram.code import emit

    return emit.emit(function, kinds, target)


class Call:
    """Calls of one entry, by one caller at a time.

    It keeps the latest arguments, whose arrays therefore neither move nor go; an array is known
    by its identity, so that its shape must not be changed in place.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._given: Sequence[Any] = ()

    def __call__(self, *arguments: Any) -> int:
        """What the entry returns for the arguments."""
        given, self._given = self._given, ()  # an argument that is refused leaves the frame as nobody knows
        if len(given) != len(arguments):
            self._lay_out(arguments)
        else:
            for k, (new, old) in enumerate(zip(arguments, given, strict=True)):
                if new is not old and not self._put(k, new):
                    self._lay_out(arguments)
                    break
        self._given = arguments
        return self._code(self._address)

    def _lay_out(self, arguments: Sequence[Any]) -> None:
        self._kinds = [kind_of(each) for each in arguments]
        self._code = self._entry.form("".join(self._kinds))
        words = [words_of(each) for each in arguments]
        self._places = list(accumulate(map(len, words), initial=0))
        self._frame = (ctypes.c_int64 * max(1, self._places[-1]))(*(word for each in words for word in each))
        self._address = ctypes.addressof(self._frame)

    def _put(self, k: int, argument: Any) -> bool:
        """Put another argument in the place of the k-th; False if it is of another kind."""
        if kind_of(argument) != self._kinds[k]:
            return False
        for place, word in enumerate(words_of(argument), self._places[k]):
            self._frame[place] = word
        return True
