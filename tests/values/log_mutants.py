"""Mutants of a log: one command, or the commands of one opening, one filling or one append, are not as they were.

What a mutant needs so that it is none of another way to say the same, from what commands mean and which elements
they move (`Carried`), never from what comes of it:

- Its command means something: it moves elements that are used, or adds to a sum that is, or opens or closes a row for
  a command that does.  (Lanes, banks and rows that a last set of outputs does not fill are computed for nothing.)
- It is in a step from the second on.  In the first a token attends to itself alone, with weight 1 whatever its score.
- Moved commands pass another that they do not commute with (`_conflict`).  A command that moves by clocks alone is
  another schedule of the same, and the checker's business if it breaks a rule.
- A buffer that keeps an old column keeps other elements: those of the next product of the same vector are no others.
- Where a bank keeps several sums, when one is read that is complete is the checker's business.
- Closing a closed bank again is nothing; nor is it to look something up a second time, or to multiply two banks
  into a third again.  The factors of such a product may be exchanged.
- Refreshes and changes of mode move no number: the checker has to find them, if a command of the channel comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import NamedTuple

import numpy as np

from tests.values.mutations import (
    BANK,
    CHANNEL,
    CLK,
    COLUMN,
    COMMAND,
    ROW,
    WEIGHTY,
    Ints,
    Mutant,
    Run,
    banks_of,
    in_order,
    moved,
)


class Kind(NamedTuple):
    """A kind of fault.

    name   in words, and of which command; at: places in the log at which it can be made
    make   in words, and the log with the fault at a place (None: there is no such fault there)
    by     who has to find it: "values" (the machine, by refusing or by a logit) or "checker" (the timing table)
    """

    name: str
    at: list[int]
    make: Callable[[int, Random], tuple[str, Ints] | None]
    by: str = "values"


def kinds(run: Run) -> list[Kind]:
    """All kinds of mutants of a run's log."""
    log = _Log(run)
    made = [*_dropped(log), *_doubled(log), *_moved(log), *_elsewhere(log), *_buffers(log), *_appends(log)]
    return [kind for kind in made if kind.at]


def mutant(run: Run, kind: Kind, random: Random) -> Mutant | None:
    """One of a kind; None where none could be made."""
    at = random.choice(kind.at)
    made = kind.make(at, random)
    if made is None or np.array_equal(made[1][:, CHANNEL:], run.log[:, CHANNEL:]):  # the same commands at other clocks
        return None
    return Mutant("log", kind.name, f"{run.told(at)}: {made[0]}", in_order(made[1]))


class _Log:
    """The log of a run, with what is asked of it again and again."""

    def __init__(self, run: Run) -> None:
        self.run, self.rows, self.carried = run, run.log, run.carried
        self.does = [run.meaning[c].does for c in run.log[:, COMMAND].tolist()]
        self.of = [np.flatnonzero(run.log[:, CHANNEL] == c) for c in range(run.plan.device.channels)]
        self.place = np.zeros(len(run.log), np.int64)  # of each command among those of its channel
        for places in self.of:
            self.place[places] = np.arange(len(places))
        self.by_column = run.plan.device.standard.buffer_by_column
        self.in_turn = run.plan.device.standard.keeps_in_turn
        self.refreshes = {n for n, m in enumerate(run.meaning) if m.name in run.plan.device.standard.roles.refreshes}
        self.switches = {n for n, m in enumerate(run.meaning) if m.name == run.plan.device.standard.roles.switch_mode}
        self.stale = self._stale()
        self.by_use: dict[tuple[int, int], list[int]] = {}  # commands by channel and instruction
        for at, channel in enumerate(run.log[:, CHANNEL].tolist()):
            self.by_use.setdefault((channel, self.carried[at].use), []).append(at)

    def means(self, at: int) -> bool:
        """Whether a command means something, and is in a step from the second on."""
        return self.carried[at].means and (self.carried[at].use < 0 or self.context(at) > 1)

    def context(self, at: int) -> int:
        return self.run.uses[self.carried[at].use].context

    def named(self, *does: str) -> dict[tuple[str, str], list[int]]:
        """Commands that mean something and do one of these, by what they do and their name."""
        return self._those(does, lambda at: self.does[at])

    def rows_for(self, effect: str) -> dict[tuple[str, str], list[int]]:
        """The same of commands that open or close rows and do nothing else."""
        return self._those((effect,), lambda at: self.meaning(at).effect if self.does[at] == "NOTHING" else "")

    def _those(self, wanted: tuple[str, ...], what: Callable[[int], str]) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for at in range(len(self.rows)):
            if what(at) in wanted and self.means(at):
                found.setdefault((_WORDS[what(at)], self.run.name(at)), []).append(at)
        return found

    def meaning(self, at: int):  # type: ignore[no-untyped-def]
        return self.run.meaning[self.rows[at, COMMAND]]

    def followed(self, numbers: set[int]) -> list[int]:
        """Commands of these numbers after which their channel has others that are none of them."""
        found: list[int] = []
        for places in self.of:
            held = [
                at for at in places.tolist() if self.meaning(at).effect == "NONE" or self.meaning(at).needs != "ANY"
            ]
            last = max((at for at in held if self.rows[at, COMMAND] not in numbers), default=-1)
            found += [at for at in places.tolist() if self.rows[at, COMMAND] in numbers and at < last]
        return found

    def _stale(self) -> list[bool]:
        """Of each filling of a column, whether the column had the very same elements before."""
        same, had = [False] * len(self.rows), {}  # type: ignore[var-annotated]
        for at, does in enumerate(self.does):
            if does == "FILL":
                use = self.run.uses[self.carried[at].use]
                operands = use.instruction.operands
                assert operands is not None
                what = use.context, use.part, use.copy, operands.takes, self.carried[at].piece
                column = int(self.rows[at, CHANNEL]), int(self.rows[at, COLUMN])
                same[at], had[column] = had.get(column) == what, what
        return same

    def after(self, at: int, step: int) -> Iterator[int]:
        """The commands of the channel after one (step 1), or before it (step -1)."""
        places = self.of[int(self.rows[at, CHANNEL])]
        place = int(self.place[at])
        yield from (places[place + 1 :] if step > 0 else places[:place][::-1]).tolist()

    def address(self, at: int) -> tuple[int, ...]:
        return tuple(self.rows[at, COMMAND:].tolist())


def _without(log: _Log, drop: list[int]) -> Ints:
    return np.delete(log.rows, drop, axis=0)


def _changed(log: _Log, at: list[int] | int, field: int, value: int) -> Ints:
    made = log.rows.copy()
    made[at, field] = value
    return made


# -- dropped, doubled ---------------------------------------------------------------------------


# What commands do, in words of the table of kinds.
_WORDS = {
    "FILL": "a piece for the buffer", "PRESET": "what sums begin with", "MULTIPLY": "a product", "GIVE": "sums read",
    "LOOK_UP": "a look-up", "GIVE_FOUND": "what was looked up read", "SCALE": "a product of banks",
    "READ": "a column read", "WRITE": "a column written", "WRITE_ALL": "a column written in all banks",
    "OPEN": "a row opened", "CLOSE": "a row closed",
}  # fmt: skip
_VALUES = ("FILL", "PRESET", "MULTIPLY", "GIVE", "LOOK_UP", "GIVE_FOUND", "SCALE", "READ", "WRITE", "WRITE_ALL")


def _dropped(log: _Log) -> Iterator[Kind]:
    def drop(at: int, random: Random) -> tuple[str, Ints]:
        return "dropped", _without(log, [at])

    for (what, name), at in (log.named(*_VALUES) | log.rows_for("OPEN") | log.rows_for("CLOSE")).items():
        yield Kind(f"{what} dropped ({name})", at, drop)
    yield Kind("a refresh dropped", log.followed(log.refreshes), drop, "checker")
    yield Kind("a change of mode dropped", log.followed(log.switches), drop, "checker")


def _doubled(log: _Log) -> Iterator[Kind]:
    def double(at: int, random: Random) -> tuple[str, Ints]:
        again = log.rows[at].copy()
        after = next(log.after(at, 1), None)
        if after is None or log.rows[after, CLK] > again[CLK] + 1:
            again[CLK] += 1
        return "doubled", np.insert(log.rows, at + 1, again, axis=0)

    once = [does for does in _VALUES if does not in ("LOOK_UP", "SCALE")]
    for (what, name), at in (log.named(*once) | log.rows_for("OPEN")).items():
        yield Kind(f"{what} doubled ({name})", at, double)
    yield Kind("a refresh doubled", log.followed(log.refreshes), double, "checker")
    yield Kind("a change of mode doubled", log.followed(log.switches), double, "checker")


# -- moved ----------------------------------------------------------------------------------------


def _moved(log: _Log) -> Iterator[Kind]:
    which = log.named(*_VALUES) | log.rows_for("OPEN") | log.rows_for("CLOSE")
    for step, word in ((1, "later"), (-1, "earlier")):
        for (what, name), at in which.items():
            yield Kind(f"{what} moved {word} ({name})", at, partial(_move, log, step, word))
    for step, word in ((1, "later"), (-1, "earlier")):
        yield Kind(
            f"a refresh moved {word}", log.followed(log.refreshes), partial(_refresh_moved, log, step), "checker"
        )


def _move(log: _Log, step: int, word: str, at: int, random: Random) -> tuple[str, Ints] | None:
    """Past the first command of its channel that it does not commute with."""
    other = next((other for other in log.after(at, step) if _conflict(log, *sorted((at, other)))), None)
    if other is None:
        return None
    first, last = sorted((log.place[at], log.place[other]))
    between = np.arange(first, last + 1)
    order = np.roll(np.arange(len(between)), -step)
    which = log.of[int(log.rows[at, CHANNEL])][between]
    return f"moved {word} past {log.run.told(other)}", moved(log.run, log.rows, which, order)


def _refresh_moved(log: _Log, step: int, at: int, random: Random) -> tuple[str, Ints] | None:
    """Past a command of the array or of the pins that it goes before, or the other way round."""
    held = (o for o in log.after(at, step) if log.does[o] != "NOTHING")
    other = next(held, None)
    if other is None:
        return None
    first, last = sorted((log.place[at], log.place[other]))
    between = np.arange(first, last + 1)
    which = log.of[int(log.rows[at, CHANNEL])][between]
    order = np.roll(np.arange(len(between)), -step)
    return f"moved past {log.run.told(other)}", moved(log.run, log.rows, which, order)


_TAKES, _GIVES = ("FILL", "PRESET", "WRITE", "WRITE_ALL"), ("GIVE", "GIVE_FOUND", "READ")
_SUMS = ("MULTIPLY", "PRESET", "GIVE", "LOOK_UP", "GIVE_FOUND")


def _conflict(log: _Log, first: int, second: int) -> bool:
    """Whether two commands of a channel, one after the other, do something else in the other order."""
    if not (log.carried[first].means and log.carried[second].means):
        return False
    return (
        _rows_conflict(log, first, second) or _order_conflicts(log, first, second) or _sums_conflict(log, first, second)
    )


def _rows_conflict(log: _Log, first: int, second: int) -> bool:
    """One of them leaves a bank as the other does not need it."""
    if not set(banks_of(log.run, log.rows, first)) & set(banks_of(log.run, log.rows, second)):
        return False
    a, b = log.meaning(first), log.meaning(second)
    return bool(
        (a.effect != "NONE" and b.needs != "ANY")
        or (b.effect != "NONE" and a.needs != "ANY")
        or (a.effect != "NONE" and b.effect != "NONE" and a.effect != b.effect)
    )


def _order_conflicts(log: _Log, first: int, second: int) -> bool:
    """Both take pieces, or both give them, and their order decides where they go to or come from."""
    for side in (_TAKES, _GIVES):
        if log.does[first] in side and log.does[second] in side:
            pieces = log.carried[first].piece, log.carried[second].piece
            same_use = log.carried[first].use == log.carried[second].use
            if log.address(first) == log.address(second) or (pieces[0] == pieces[1] and same_use):
                return False
            if same_use and _key(log, first)[1:2] == ("scale",) and side is _TAKES:
                return False  # the factors of a product of banks
            return not same_use or _differ(log, log.carried[first].use, *pieces)
    return False


def _differ(log: _Log, use: int, *pieces: tuple[int, ...] | None) -> bool:
    """Of two elements of V, whether they are different numbers; more at once are."""
    elements = [[element for element in piece or () if element >= 0] for piece in pieces]
    if max(map(len, elements)) > 1:
        return True
    a, b = (log.run.number(use, each[0]) if each else 0.0 for each in elements)
    return abs(a - b) >= WEIGHTY


def _sums_conflict(log: _Log, first: int, second: int) -> bool:
    """Both use the buffer or the accumulators."""
    does = log.does[first], log.does[second]
    if does == ("MULTIPLY", "MULTIPLY"):  # one after another they take the columns of the buffer
        return not log.by_column and log.address(first) != log.address(second)
    if set(does) == {"FILL", "MULTIPLY"}:
        fill, product = (first, second) if does[0] == "FILL" else (second, first)
        if log.stale[fill]:
            return False
        return not log.by_column or bool(log.rows[fill, COLUMN] == log.rows[product, COLUMN])
    if log.in_turn and set(does) == {"MULTIPLY", "GIVE"}:
        return False  # most often of two sums that are kept
    if does[0] in _SUMS and does[1] in _SUMS:
        return does not in (("LOOK_UP", "LOOK_UP"), ("PRESET", "PRESET"), ("GIVE", "GIVE"))
    return False


# -- elsewhere ------------------------------------------------------------------------------------


def _elsewhere(log: _Log) -> Iterator[Kind]:
    device, image = log.run.plan.device, log.run.image
    channels = device.channels
    for (what, name), at in (log.named(*_VALUES) | log.rows_for("OPEN")).items():
        yield Kind(f"{what} in another channel ({name})", at, partial(_field, log, CHANNEL, channels, "channel"))
    for (what, name), at in log.named("MULTIPLY", "LOOK_UP", "SCALE", "READ", "WRITE", "WRITE_ALL").items():
        yield Kind(f"{what} in another row ({name})", at, partial(_field, log, ROW, image.rows, "row"))
    for (what, name), at in log.rows_for("OPEN").items():
        yield Kind(f"{what} in another row ({name})", at, partial(_field, log, ROW, image.rows, "row"))
    for (what, name), at in log.named("MULTIPLY", "SCALE", "READ", "WRITE", "WRITE_ALL").items():
        yield Kind(f"{what} in another column ({name})", at, partial(_field, log, COLUMN, device.columns, "column"))
    for (what, name), at in (log.named("READ", "WRITE") | log.rows_for("OPEN") | log.rows_for("CLOSE")).items():
        with_bank = [each for each in at if log.rows[each, BANK] >= 0]
        yield Kind(f"{what} in another bank ({name})", with_bank, partial(_field, log, BANK, device.banks, "bank"))
    everything = [at for each in log.named("READ", "WRITE").values() for at in each]
    for word, field, count in (
        ("channel", CHANNEL, channels),
        ("command", COMMAND, len(log.run.meaning)),
        ("bank", BANK, device.banks),
        ("row", ROW, image.rows),
        ("column", COLUMN, device.columns),
    ):
        yield Kind(f"a {word} that does not exist", everything, partial(_outside, field, count, word, log))
    for (_, name), at in log.rows_for("OPEN").items():
        yield Kind(f"all of an opened row in another row ({name})", at, partial(_opening, log, ROW, image.rows, "row"))
        one = [each for each in at if log.meaning(each).scope == "bank"]
        yield Kind(
            f"all of an opened row in another bank ({name})", one, partial(_opening, log, BANK, device.banks, "bank")
        )
        yield Kind(f"all of an opened row a column further ({name})", at, partial(_shifted, log))


def _field(log: _Log, field: int, count: int, word: str, at: int, random: Random) -> tuple[str, Ints] | None:
    """Another number in one address."""
    others = [n for n in range(count) if n != log.rows[at, field]]
    if not others:
        return None
    other = random.choice(others)
    return f"of {word} {other}", _changed(log, at, field, other)


def _outside(field: int, count: int, word: str, log: _Log, at: int, random: Random) -> tuple[str, Ints]:
    """A number that the device, or the run, does not have."""
    other = random.choice([-2, -1, count, count + 1, 1 << 40])
    return f"of {word} {other}", _changed(log, at, field, other)


def _opened(log: _Log, at: int) -> tuple[list[int], list[int]]:
    """The commands of an opening: those that need its row in all of its banks, and what closes it."""
    open_in, users, closing = set(banks_of(log.run, log.rows, at)), [], []
    for other in log.after(at, 1):
        banks, meaning = set(banks_of(log.run, log.rows, other)), log.meaning(other)
        if not banks & open_in:
            continue
        if meaning.needs == "OPEN":
            users.append(other)
        if meaning.effect == "CLOSE":
            open_in -= banks
            if meaning.needs == "ANY":
                closing.append(other)
        if not open_in:
            break
    return users, closing


def _opening(log: _Log, field: int, count: int, word: str, at: int, random: Random) -> tuple[str, Ints] | None:
    """Another row, or another bank, in an opening and in all commands that use it."""
    users, closing = _opened(log, at)
    looks_up = any(log.does[each] == "LOOK_UP" for each in users)
    first, last = log.run.plan.device.standard.function_rows if looks_up and field == ROW else (0, count)
    other = random.choice([n for n in range(first, last) if n != log.rows[at, field]])
    which = [at, *users] + ([each for each in closing if log.rows[each, BANK] >= 0] if field == BANK else [])
    return f"and {len(which) - 1} more, in {word} {other}", _changed(log, which, field, other)


def _shifted(log: _Log, at: int, random: Random) -> tuple[str, Ints] | None:
    """All commands of an opening a column further, around the end of the row."""
    users, columns = _opened(log, at)[0], log.run.plan.device.columns
    made = log.rows.copy()
    shown = [each for each in users if log.does[each] != "LOOK_UP"]
    if not shown:
        return None
    made[shown, COLUMN] = (made[shown, COLUMN] + 1) % columns
    return f"{len(shown)} commands a column further", made


# -- buffers ----------------------------------------------------------------------------------------


def _buffers(log: _Log) -> Iterator[Kind]:
    fills = [at for each in log.named("FILL").values() for at in each]
    yield Kind("the buffer not refilled", fills, partial(_not_refilled, log))
    later = [at for at in fills if log.rows[at, COLUMN] > 0]
    yield Kind("a piece of the buffer in another's column", later, partial(_over_another, log))
    yield Kind("two columns of the buffer exchanged", later, partial(_exchanged, log))
    sums = [at for each in log.named("GIVE").values() for at in each if not log.in_turn]
    yield Kind("sums read once for two", sums, partial(_read_once, log))


def _filling(log: _Log, at: int) -> list[int]:
    """All columns of the filling that a command is in: back to column 0, and on to what is no filling."""
    found = [at]
    for step in (-1, 1):
        for other in log.after(at, step):
            if log.does[other] == "NOTHING":
                continue
            if log.does[other] != "FILL" or log.carried[other].use != log.carried[at].use:
                break
            found.append(other)
    return sorted(found)


def _not_refilled(log: _Log, at: int, random: Random) -> tuple[str, Ints]:
    return "and its whole filling dropped", _without(log, _filling(log, at))


def _over_another(log: _Log, at: int, random: Random) -> tuple[str, Ints]:
    other = random.randrange(int(log.rows[at, COLUMN]))
    return f"into column {other}, which is full", _changed(log, at, COLUMN, other)


def _exchanged(log: _Log, at: int, random: Random) -> tuple[str, Ints] | None:
    others = [o for o in _filling(log, at) if log.carried[o].means and log.carried[o].piece != log.carried[at].piece]
    if not others:
        return None
    other = random.choice(others)
    made = log.rows.copy()
    made[at, COLUMN], made[other, COLUMN] = log.rows[other, COLUMN], log.rows[at, COLUMN]
    return f"exchanged with column {log.rows[other, COLUMN]}", made


def _read_once(log: _Log, at: int, random: Random) -> tuple[str, Ints] | None:
    """The sums are read only with the next ones: moved to just before the next reading of sums."""
    other = next((o for o in log.after(at, 1) if log.does[o] == "GIVE" and log.carried[o].means), None)
    between = [] if other is None else [o for o in log.after(at, 1) if o < other]
    if not any(log.does[o] in ("MULTIPLY", "PRESET") and log.carried[o].means for o in between):
        return None
    which = np.array([at, *between])
    return f"moved to {log.run.told(other)}", moved(log.run, log.rows, which, np.roll(np.arange(len(which)), -1))  # type: ignore[arg-type]


# -- K and V ------------------------------------------------------------------------------------------


def _appends(log: _Log) -> Iterator[Kind]:
    for what, reader in (("keys", "scores"), ("values", "weigh")):
        at = []
        for names in log.named("WRITE", "WRITE_ALL").values():
            at += [each for each in names if _key(log, each)[1:2] == (what,)]
        word = {"keys": "K", "values": "V"}[what]
        yield Kind(f"{word} written after it is read", at, partial(_late, log, reader))
        yield Kind(f"{word} written in a step that comes before", at, partial(_early, log, what))


def _key(log: _Log, at: int) -> tuple[object, ...]:
    operands = log.run.uses[log.carried[at].use].instruction.operands
    return operands.key if operands is not None and log.carried[at].use >= 0 else ()


def _stretch(log: _Log, at: int) -> tuple[int, int]:
    """Of the commands of one instruction in a channel: places of the first, with its openings, and of the last."""
    mine = [int(log.place[o]) for o in log.by_use[int(log.rows[at, CHANNEL]), log.carried[at].use]]
    return min(mine), max(mine)


def _addresses(log: _Log, at: int) -> list[tuple[int, ...]]:
    """Of all commands of an instruction in a channel, without what opens and closes rows."""
    mine = log.by_use[int(log.rows[at, CHANNEL]), log.carried[at].use]
    return [log.address(o) for o in mine if log.does[o] != "NOTHING"]


def _swapped(log: _Log, channel: int, a: tuple[int, int], b: tuple[int, int]) -> Ints:
    """Two stretches of a channel's commands, the first one and another behind it, in each other's place."""
    between = np.arange(a[0], b[1] + 1)
    parts = np.split(between - a[0], [a[1] + 1 - a[0], b[0] - a[0]])
    return moved(log.run, log.rows, log.of[channel][between], np.concatenate([parts[2], parts[1], parts[0]]))


def _late(log: _Log, reader: str, at: int, random: Random) -> tuple[str, Ints] | None:
    """All of an append after the product that reads it first, which is done in its place."""
    use = log.run.uses[log.carried[at].use]
    for other in log.after(at, 1):
        if log.carried[other].use >= 0:
            its = log.run.uses[log.carried[other].use]
            if its[:3] == use[:3] and _key(log, other)[:2] == (_key(log, at)[0], reader):
                channel = int(log.rows[at, CHANNEL])
                return f"after {reader}", _swapped(log, channel, _stretch(log, at), _stretch(log, other))
    return None


def _early(log: _Log, what: str, at: int, random: Random) -> tuple[str, Ints] | None:
    """Exchanged with the same layer's append of another token in this channel."""
    use = log.run.uses[log.carried[at].use]
    for other in log.after(at, -1):
        if log.carried[other].use >= 0:
            its = log.run.uses[log.carried[other].use]
            key = _key(log, other)
            if its.context < use.context and its[1:3] == use[1:3] and key[:2] == (_key(log, at)[0], what):
                if _addresses(log, other) == _addresses(log, at):
                    return None  # of V in one column: which lane is masked, the log does not say
                channel = int(log.rows[at, CHANNEL])
                made = _swapped(log, channel, _stretch(log, other), _stretch(log, at))
                return f"exchanged with that of the token at context {its.context}", made
    return None
