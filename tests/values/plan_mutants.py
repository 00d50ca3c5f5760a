"""Mutants of programs and of layouts: what a layout gives is wrong in one thing.

A program with a fault gives another log, which the same simulation makes; the machine has the unmutated wires and
memory.  A fault in where a layout puts elements (`locate`) gives another memory, one in its wires another machine;
the log is as it was.  What a mutant needs so that it is none of another way to say the same:

- Of a program, numbers and addresses of data commands are changed, on channel 0, whose first slots are always full.
  When rows open and close is the controller's business (OPEN and CLOSE are hints), gaps and holds are time.
- Elements are exchanged in one place only: in the weights or in the wires, of what is sent or of what comes back.
  Partial sums of one output are not exchanged with each other, since that is another order of the same sum.
- What is turned (banks, lanes, channels, rows) has more than one.
- The bias of K without rotary positions is none: it adds the same to all scores of a query, and a softmax takes that
  away again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, NamedTuple

import numpy as np

from pimsim.dram.program import LOOP, RUN, SCATTER, run
from pimsim.dram.spec import Does
from pimsim.mapping.grid import Place
from pimsim.mapping.plan import Plan
from pimsim.mapping.wires import KEEP, ZERO, Wires
from pimsim.mapping.work import Work
from pimsim.values.machine.image import filled
from tests.values.mutations import Ints, Mutant, Run, recorded

OP, CMD, BANK, LIN, N, STRIDE, USED, RES = range(8)


class Kind(NamedTuple):
    """A row of the table; make: one of its mutants (None: there is no such fault at the place that was drawn)."""

    source: str
    name: str
    make: Callable[[Run, Random], Mutant | None]


class Altered:
    """A layout one of whose methods gives something else."""

    def __init__(self, layout: Any, **methods: Callable[..., Any]) -> None:
        self._layout, self._methods = layout, methods

    def __getattr__(self, name: str) -> Any:
        if name in self._methods:
            return partial(self._methods[name], getattr(self._layout, name))
        return getattr(self._layout, name)


def altered(plan: Plan, what: str, name: str, **methods: Callable[..., Any]) -> Plan:
    """A plan with one layout altered; what: of `Memory`, its matrices, vectors, keys, values or tables."""
    layouts = getattr(plan.memory, what)
    memory = replace(plan.memory, **{what: layouts | {name: Altered(layouts[name], **methods)}})
    return replace(plan, memory=memory, _works={}, _kept={}, _drafts={})


def kinds(run: Run) -> list[Kind]:
    """All kinds of mutants of a run's programs and layouts."""
    return [*_programs(run), *_places(run), *_wires(run)]


# -- programs -------------------------------------------------------------------------------------

# The methods that make programs, by the kind of layout.
_WORKS = (("matrices", "multiply"), ("vectors", "read"), ("tables", "read"), ("keys", "append"),
          ("keys", "score_groups"), ("values", "append"), ("values", "weigh_columns"))  # fmt: skip

Rows = list[tuple[int, ...]]


def _runs(row: tuple[int, ...], **fields: int) -> tuple[int, ...]:
    names = {"cmd": CMD, "bank": BANK, "lin": LIN, "n": N, "stride": STRIDE, "used": USED}
    changed = list(row)
    for name, value in fields.items():
        changed[names[name]] = value
    return tuple(changed)


def _changes(row: tuple[int, ...], run_: Run) -> dict[str, Rows]:
    """What may be wrong in a request, by its kind: the requests that stand there instead."""
    op, bank, lin, n, stride, used = row[OP], row[BANK], row[LIN], row[N], row[STRIDE], row[USED]
    standard = run_.plan.device.standard
    found: dict[str, Rows] = {}
    if op not in (RUN, LOOP, SCATTER):
        return found
    again = standard.commands[row[CMD]].does is not Does.LOOK_UP  # who looks up the same again finds the same
    found["left out"] = []
    if again:
        found["twice"] = [row, row]
    if op == RUN:
        command = standard.commands[row[CMD]]
        found["a command less"] = [_runs(row, n=n - 1)] if n > 1 else []
        if again:
            found["a command more"] = [_runs(row, n=n + 1)]
        in_array = command.does in (Does.READ, Does.WRITE, Does.WRITE_ALL, Does.MULTIPLY, Does.SCALE)
        if in_array or (command.does is Does.FILL and n > 1):
            found["a column further"] = [_runs(row, lin=lin + 1)]
        if command.has_bank:
            found["in the next bank"] = [_runs(row, bank=(bank + 1) % run_.plan.device.banks)]
    else:
        found["a turn less"] = [_runs(row, n=n - 1)] if n > 1 else []
        found["a turn more"] = [_runs(row, n=n + 1)]
        found["a column further"] = [_runs(row, lin=lin + 1)]
        if n > 1:
            found["turns a column further apart"] = [_runs(row, stride=stride + 1)]
    if op == LOOP:
        found["a column less in each turn"] = [_runs(row, used=used - 1)] if used > 1 else []
        found["a column more in each turn"] = [_runs(row, used=used + 1)]
        found["sums not read"] = [run(row[CMD], -1, lin + turn * stride, used) for turn in range(n)]
    return found


def _programs(run_: Run) -> Iterator[Kind]:
    for (what, method, fault), names in _available(run_).items():
        name = f"a request {fault} ({what}.{method})"
        yield Kind("program", name, partial(_program, what, method, fault, names))


def _available(run_: Run) -> dict[tuple[str, str, str], list[str]]:
    """Which faults there are to be made in the programs of the run, and in which layouts."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}

    def note(what: str, method: str, name: str, original: Callable[..., Work], *args: Any, **kwargs: Any) -> Work:
        work = original(*args, **kwargs)
        for fault in dict.fromkeys(fault for _, fault, _ in _ways(work, run_)):
            if (what, fault) not in _NO_FAULTS:
                found.setdefault((what, method, fault), {})[name] = None
        return work

    plan = run_.plan
    for what, method in _WORKS:
        for name in getattr(plan.memory, what):
            plan = altered(plan, what, name, **{method: partial(note, what, method, name)})
    recorded(plan)
    return {key: list(names) for key, names in found.items()}


# Behind the tokens so far V has zeros, and what is multiplied with them adds nothing.
_NO_FAULTS = {("values", "a column more in each turn")}


def _program(what: str, method: str, fault: str, names: list[str], run_: Run, random: Random) -> Mutant | None:
    name, seed = random.choice(names), random.randrange(1 << 30)
    told: list[str] = []

    def change(original: Callable[..., Work], *args: Any, **kwargs: Any) -> Work:
        work = original(*args, **kwargs)
        made = _faulty(work, fault, run_, Random(seed))
        if made is None:
            return work
        told[:] = [made[0]]
        return made[1]

    log = recorded(altered(run_.plan, what, name, **{method: change}))
    if _same(log, run_.log):
        return None
    return Mutant("program", f"a request {fault} ({what}.{method})", f"{name}: {told[0]}", log)


def _same(log: Ints, other: Ints) -> bool:
    """The same commands, at whatever clocks: rows that open otherwise are a schedule of the same."""
    return len(log) == len(other) and np.array_equal(log[:, 1:], other[:, 1:])


def _ways(work: Work, run_: Run) -> list[tuple[int, str, Rows]]:
    """(place, fault, instead) in the program of channel 0, or of the only one that has something."""
    first, last = work.spans[_channel(work)].tolist()
    return [
        (place, fault, instead)
        for place, row in enumerate(map(tuple, work.program[first:last].tolist()))
        for fault, instead in _changes(row, run_).items()
    ]


def _channel(work: Work) -> int:
    return next(c for c, (first, last) in enumerate(work.spans.tolist()) if first < last)


def _faulty(work: Work, fault: str, run_: Run, random: Random) -> tuple[str, Work] | None:
    """The same work, with a fault in a request of one channel."""
    ways = [way for way in _ways(work, run_) if way[1] == fault]
    if not ways:
        return None
    place, _, instead = random.choice(ways)
    channel, rows = _channel(work), [tuple(row) for row in work.program.tolist()]
    first, last = work.spans[channel].tolist()
    own = rows[first : first + place] + instead + rows[first + place + 1 : last]  # for this channel alone
    spans, marks = work.spans.copy(), work.marks.copy()
    spans[channel] = len(rows), len(rows) + len(own)
    marks[channel] = np.minimum(marks[channel], len(own) - 1)
    made = replace(work, program=np.array([*rows, *own], np.int64), spans=spans, marks=marks)
    return f"request {place} of channel {channel}, {rows[first + place]}, {fault}", made


# -- places: where the weights lie ------------------------------------------------------------------


def _places(run_: Run) -> Iterator[Kind]:
    for what in ("matrices", "vectors", "tables"):
        if not getattr(run_.plan.memory, what):
            continue
        for field in ("channel", "bank", "row", "column", "lane"):
            yield Kind("layout", f"a {field} further ({what})", partial(_turned, what, field))
        yield Kind("layout", f"two elements exchanged where they lie ({what})", partial(_elements_exchanged, what))
    yield Kind("layout", "two outputs exchanged where they lie", _outputs_exchanged)
    yield Kind("layout", "two heads exchanged where they lie", _heads_exchanged)
    yield Kind("layout", "two columns exchanged where they lie", _columns_exchanged)
    yield Kind("layout", "two layers exchanged where they lie", _copies_exchanged)


def _moved_image(run_: Run, plan: Plan, kind: str, what: str) -> Mutant:
    return Mutant("layout", kind, what, image=filled(plan, run_.weights, plan.config.pim.lanes))


def _turned(what: str, field: str, run_: Run, random: Random) -> Mutant | None:
    name = random.choice(sorted(getattr(run_.plan.memory, what)))
    layout, grid = getattr(run_.plan.memory, what)[name], run_.plan.grid
    count = {"channel": grid.channels, "bank": grid.banks, "row": layout.rows, "column": grid.device.columns,
             "lane": grid.width}[field]  # fmt: skip
    if count == 1:
        return None

    def locate(original: Callable[..., Place[Ints]], *args: Any) -> Place[Ints]:
        place = original(*args)
        return replace(place, **{field: (getattr(place, field) + 1) % count})

    plan = altered(run_.plan, what, name, locate=locate)
    return _moved_image(run_, plan, f"a {field} further ({what})", f"{name}: {field} + 1")


def _exchange(numbers: Ints, a: int, b: int) -> Ints:
    return np.where(numbers == a, b, np.where(numbers == b, a, numbers))


def _elements_exchanged(what: str, run_: Run, random: Random) -> Mutant | None:
    name = random.choice(sorted(getattr(run_.plan.memory, what)))
    layout = getattr(run_.plan.memory, what)[name]
    if what == "tables":  # in all rows, since few are read
        size = next(o for o in run_.plan.workload.operators if name.startswith(f"{o.name}.table")).outputs
        a, b = random.sample(range(size), 2)

        def locate(original: Callable[..., Any], element: Ints) -> Any:
            return original(element // size * size + _exchange(element % size, a, b))

    elif what == "vectors":
        count = _without_key_bias(run_, name, layout.elements)
        if count < 2:
            return None
        a, b = random.sample(range(count), 2)

        def locate(original: Callable[..., Any], element: Ints) -> Any:
            return original(_exchange(element, a, b))

    else:
        a, b = random.sample(range(layout.inputs), 2)

        def locate(original: Callable[..., Any], output: Ints, element: Ints) -> Any:  # type: ignore[misc]
            return original(output, _exchange(element, a, b))

    plan = altered(run_.plan, what, name, locate=locate)
    return _moved_image(run_, plan, f"two elements exchanged where they lie ({what})", f"{name}: {a} and {b}")


def _attention(run_: Run) -> Any:
    return next(o for o in run_.plan.workload.operators if o.op == "attention")


def _without_key_bias(run_: Run, name: str, elements: int) -> int:
    """Elements of a vector before the bias of K, if that decides nothing; those of V come behind it."""
    bias = run_.key_bias(name)
    return bias.start if bias else elements


def _outputs_exchanged(run_: Run, random: Random) -> Mutant | None:
    name = random.choice(sorted(run_.plan.memory.matrices))
    a, b = random.sample(range(run_.plan.memory.matrices[name].outputs), 2)  # type: ignore[attr-defined]

    def locate(original: Callable[..., Any], output: Ints, element: Ints) -> Any:
        return original(_exchange(output, a, b), element)

    plan = altered(run_.plan, "matrices", name, locate=locate)
    return _moved_image(run_, plan, "two outputs exchanged where they lie", f"{name}: {a} and {b}")


def _heads_exchanged(run_: Run, random: Random) -> Mutant | None:
    attention = _attention(run_)
    named = [name for name in ("q", "k", "v", "qkv") if name in run_.plan.memory.matrices]
    name, size = random.choice(named), attention.head_dim
    heads = {"q": attention.heads, "k": attention.kv_heads, "v": attention.kv_heads, "qkv": attention.heads}[name]
    if heads == 1:
        return None
    a, b = random.sample(range(heads), 2)

    def locate(original: Callable[..., Any], output: Ints, element: Ints) -> Any:
        return original(_exchange(output // size, a, b) * size + output % size, element)

    plan = altered(run_.plan, "matrices", name, locate=locate)
    return _moved_image(run_, plan, "two heads exchanged where they lie", f"{name}: {a} and {b}")


def _columns_exchanged(run_: Run, random: Random) -> Mutant | None:
    name, width = random.choice(sorted(run_.plan.memory.matrices)), run_.plan.grid.width
    count = run_.plan.memory.matrices[name].inputs // width  # type: ignore[attr-defined]
    if count < 2:
        return None
    a, b = random.sample(range(count), 2)

    def locate(original: Callable[..., Any], output: Ints, element: Ints) -> Any:
        return original(output, _exchange(element // width, a, b) * width + element % width)

    plan = altered(run_.plan, "matrices", name, locate=locate)
    return _moved_image(run_, plan, "two columns exchanged where they lie", f"{name}: {a} and {b}")


def _copies_exchanged(run_: Run, random: Random) -> Mutant | None:
    """The weights of two layers in each other's place."""
    regions, memory = run_.plan.memory.regions, run_.plan.memory
    names = [name for name in sorted(memory.matrices) if len(regions[name].bases) > 1]
    if not names:
        return None
    name = random.choice(names)
    bases = list(regions[name].bases)
    a, b = random.sample(range(len(bases)), 2)
    bases[a], bases[b] = bases[b], bases[a]
    plan = replace(
        run_.plan, memory=replace(memory, regions=regions | {name: replace(regions[name], bases=tuple(bases))})
    )
    return _moved_image(run_, plan, "two layers exchanged where they lie", f"{name}: {a} and {b}")


# -- wires: which elements commands move ---------------------------------------------------------------


_SIDES = {"taken": "as they are sent", "given": "as they come back"}


def _wires(run_: Run) -> Iterator[Kind]:
    sides = (("matrices", "wires", "taken"), ("matrices", "wires", "given"), ("vectors", "wires", "given"),
             ("tables", "wires", "given"), ("keys", "append_wires", "taken"), ("keys", "score_wires", "taken"),
             ("keys", "score_wires", "given"), ("values", "append_wires", "taken"), ("values", "weigh_wires", "taken"),
             ("values", "weigh_wires", "given"))  # fmt: skip
    for what, method, side in sides:
        if getattr(run_.plan.memory, what):
            yield Kind("layout", f"two elements exchanged, {_SIDES[side]} ({what}.{method})",
                       partial(_wired, what, method, side, "elements"))  # fmt: skip
            yield Kind("layout", f"two pieces exchanged, {_SIDES[side]} ({what}.{method})",
                       partial(_wired, what, method, side, "pieces"))  # fmt: skip
    for method, side in (("append_wires", "taken"), ("score_wires", "taken"), ("score_wires", "given")):
        yield Kind(
            "layout", f"two heads exchanged, {_SIDES[side]} (keys.{method})", partial(_head_wires, "keys", method, side)
        )
    for method, side in (("append_wires", "taken"), ("weigh_wires", "taken"), ("weigh_wires", "given")):
        yield Kind(
            "layout",
            f"two heads exchanged, {_SIDES[side]} (values.{method})",
            partial(_head_wires, "values", method, side),
        )
    yield Kind("layout", "two tokens' scores exchanged", partial(_token_wires, "keys", "score_wires", "given"))
    yield Kind("layout", "two tokens' weights exchanged", partial(_token_wires, "values", "weigh_wires", "taken"))
    width = run_.plan.grid.width
    if width < len(run_.steps):
        columns = partial(_token_wires, "values", "weigh_wires", "taken", other=width)
        yield Kind("layout", "two columns' weights exchanged", columns)
    yield Kind("layout", "V into the next lane", _next_lane)
    yield Kind("layout", "an addend left out", _no_addend)
    yield Kind("layout", "K appended a slot late", partial(_slot_late, "keys", 1))
    yield Kind("layout", "V appended a column late", partial(_slot_late, "values", width))


def _rewired(
    run_: Run, kind: str, what: str, name: str, method: str, change: Callable[..., Wires], told: str
) -> Mutant | None:
    """A mutant with other wires; None if no wires of the run are others."""
    changes: list[bool] = []

    def wires(original: Callable[..., Wires], *args: Any) -> Wires:
        before = original(*args)
        after = change(before, *args)
        pairs = zip(before.taken + before.given, after.taken + after.given, strict=True)
        changes.append(before.lane != after.lane or not all(np.array_equal(a, b) for a, b in pairs))
        return after

    plan = altered(run_.plan, what, name, **{method: wires})
    for context, tokens, head in run_.steps[1:]:  # in the first step scores mean nothing
        for part in plan.named_step(context, head, tokens):
            for instruction in part:
                if instruction.operands is not None and instruction.operands.wires is not None:
                    instruction.operands.wires()
    return Mutant("layout", kind, f"{name}.{method}: {told}", plan=plan) if any(changes) else None


def _map(wires: Wires, side: str, function: Callable[[Ints], Ints]) -> Wires:
    """The same with the elements that mean something changed."""
    pieces = tuple(np.where(p >= 0, function(np.maximum(p, 0)), p) for p in getattr(wires, side))
    return wires._replace(**{side: pieces})


def _wired(what: str, method: str, side: str, unit: str, run_: Run, random: Random) -> Mutant | None:
    """Two elements, or two pieces of a channel, in each other's place."""
    name, seed = random.choice(sorted(getattr(run_.plan.memory, what))), random.randrange(1 << 30)
    attention = _attention(run_)
    kind = f"two {unit} exchanged, {_SIDES[side]} ({what}.{method})"
    layout = getattr(run_.plan.memory, what)[name]

    def size(args: tuple[Any, ...]) -> int:
        """Elements among which two are drawn: of one vector that is used."""
        if method == "wires" and what == "matrices":
            return int(layout.inputs if side == "taken" else layout.outputs)
        if what == "vectors":
            return _without_key_bias(run_, name, layout.elements)
        if what == "tables":
            return next(o for o in run_.plan.workload.operators if name.startswith(f"{o.name}.table")).outputs
        if method == "append_wires":
            return int(attention.kv_heads * attention.head_dim)
        if method == "score_wires":
            return int(attention.heads * (attention.head_dim if side == "taken" else layout.partial_sums * args[0]))
        pieces = layout.partial_sums(args[0]) if hasattr(layout, "partial_sums") else 1
        return int(attention.heads * (args[0] if side == "taken" else attention.head_dim * pieces))

    def result(places: Ints, args: tuple[Any, ...]) -> Ints:
        """Of each place, for what result it is: partial sums of one are not exchanged with each other."""
        if side == "taken" or what in ("vectors", "tables"):
            return places
        if what == "matrices":
            return places % layout.outputs
        if what == "keys":
            return places // (layout.partial_sums * args[0]) * args[0] + places % args[0]
        return places % (attention.heads * attention.head_dim)

    def elements(wires: Wires, *args: Any) -> Wires:
        count = size(args)
        if count < 2:
            return wires
        a, b = Random(seed).sample(range(count), 2)
        if result(np.array([a]), args) == result(np.array([b]), args):
            return wires
        return _map(wires, side, lambda places: _exchange(places, a, b))

    def pieces(wires: Wires, *args: Any) -> Wires:
        found = [piece.copy() for piece in getattr(wires, side)]
        for each in found:
            full = np.flatnonzero((each >= 0).any(axis=1))
            if len(full) > 1:
                a, b = Random(seed).sample(full.tolist(), 2)
                if not np.array_equal(result(each[a], args), result(each[b], args)):
                    each[[a, b]] = each[[b, a]]
                break
        return wires._replace(**{side: tuple(found)})

    return _rewired(run_, kind, what, name, method, elements if unit == "elements" else pieces, f"seed {seed}")


def _head_wires(what: str, method: str, side: str, run_: Run, random: Random) -> Mutant | None:
    """Two heads in each other's place, on one side only."""
    attention = _attention(run_)
    heads = attention.kv_heads if method == "append_wires" else attention.heads
    if heads == 1:
        return None
    name, (a, b) = random.choice(sorted(getattr(run_.plan.memory, what))), random.sample(range(heads), 2)
    layout = getattr(run_.plan.memory, what)[name]

    def change(wires: Wires, *args: Any) -> Wires:
        size = attention.head_dim
        if method == "score_wires" and side == "given":
            size = layout.partial_sums * args[0]
        if method == "weigh_wires" and side == "taken":
            size = args[0]
        every = heads * size  # of a partial sum of V; beyond them are the sums so far

        def exchanged(places: Ints) -> Ints:
            head = places % every // size
            return places // every * every + _exchange(head, a, b) * size + places % size

        own = wires.own or 1 << 60
        return _map(wires, side, lambda places: np.where(places < own, exchanged(places), places)
                    if side == "taken" else exchanged(places))  # fmt: skip

    return _rewired(
        run_, f"two heads exchanged, {_SIDES[side]} ({what}.{method})", what, name, method, change, f"{a}, {b}"
    )


def _token_wires(what: str, method: str, side: str, run_: Run, random: Random, other: int = 1) -> Mutant | None:
    """The first token and another one, the second or the first of the second column, in each other's place."""
    name = random.choice(sorted(getattr(run_.plan.memory, what)))
    which = "tokens'" if other == 1 else "columns'"
    kind = f"two {which} scores exchanged" if what == "keys" else f"two {which} weights exchanged"

    def change(wires: Wires, context: int) -> Wires:
        if context <= other:
            return wires
        own = wires.own or 1 << 60

        def exchanged(places: Ints) -> Ints:
            return np.where(places < own, places // context * context + _exchange(places % context, 0, other), places)

        return _map(wires, side, exchanged)

    return _rewired(run_, kind, what, name, method, change, f"tokens 0 and {other}")


def _next_lane(run_: Run, random: Random) -> Mutant | None:
    name, width = random.choice(sorted(run_.plan.memory.values)), run_.plan.grid.width

    def change(wires: Wires, token: int) -> Wires:
        if any((piece == KEEP).any() for piece in wires.taken):
            return wires._replace(
                taken=tuple(
                    np.concatenate([np.roll(p[:, :width], 1, axis=1), p[:, width:]], axis=1) for p in wires.taken
                )
            )
        return wires._replace(lane=(wires.lane + 1) % width)

    return _rewired(run_, "V into the next lane", "values", name, "append_wires", change, "lane + 1")


def _no_addend(run_: Run, random: Random) -> Mutant | None:
    """What the accumulators of the first piece of work begin with: the bias, or the sum so far."""
    memory = run_.plan.memory
    names = [
        name
        for name, matrix in sorted(memory.matrices.items())
        if matrix.takes_addend and (matrix.sums.elements[1:] or (name in memory.vectors and not run_.key_bias(name)))
    ]
    if not names:
        return None
    name = random.choice(names)
    inputs = memory.matrices[name].inputs  # type: ignore[attr-defined]

    def change(wires: Wires, *args: Any) -> Wires:
        return wires._replace(taken=tuple(np.where(p >= inputs, ZERO, p) for p in wires.taken))

    return _rewired(run_, "an addend left out", "matrices", name, "wires", change, "")


def _slot_late(what: str, further: int, run_: Run, random: Random) -> Mutant | None:
    """Written by the program of a later token; the elements are the token's own."""
    name = random.choice(sorted(getattr(run_.plan.memory, what)))
    layout = getattr(run_.plan.memory, what)[name]
    if layout.tokens < further + len(run_.steps):
        return None

    def append(original: Callable[..., Work], token: int) -> Work:
        return original(token + further)

    plan = altered(run_.plan, what, name, append=append)
    kind = "K appended a slot late" if what == "keys" else "V appended a column late"
    return Mutant("layout", kind, name, log=recorded(plan))
