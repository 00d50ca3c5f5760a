"""Traces for tests: a small one as text, and Hypothesis strategies for records of every kind."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pimsim.workload.attributes import ATTRIBUTES, WEIGHTS, Attribute, Weight
from pimsim.workload.ops import OPS, PER, ROLES, SCOPES, SENT
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import (
    DATA_TYPE_BITS,
    PHASES,
    SYMBOLS,
    Acceptance,
    Check,
    Header,
    HeadGroup,
    Launch,
    ModelInfo,
    OpRecord,
    Schedule,
    Table,
    Template,
    Trace,
    default_bits,
)

TRACES = Path(__file__).parents[2] / "traces"

HEADER = (
    '{"type":"header","format":"pimsim-trace","version":"1.0","model":{"name":"tiny","family":"gpt2","layers":2,'
    '"d_model":8,"heads":2,"kv_heads":2,"head_dim":4,"d_ff":16,"vocabulary":32,"max_positions":64},'
    '"data_types":{"weights":"bf16","activations":"bf16","kv":"bf16"},"symbols":{"T":"","B":"","Q":""}}'
)
SMALL = (
    HEADER,
    '{"type":"template","id":"decode","repeat":{"layers":1,"count":2}}',
    '{"type":"op","template":"decode","id":"qkv","scope":"block","role":"qkv","op":"linear","in":8,"out":24,'
    '"weight":{"bias":true},"deps":["input"]}',
    '{"type":"op","template":"decode","id":"attention","scope":"block","role":"attn","op":"attention","in":24,"out":8,'
    '"head_groups":[{"heads":2,"kv_heads":2,"head_dim":4,"kv_len":"T"}],"deps":["qkv"]}',
    '{"type":"schedule","phase":"decode","steps":4,"template":"decode","bindings":{"T":"step+1","B":1,"Q":1}}',
)


def text_of(*changes: tuple[str, str], lines: tuple[str, ...] = SMALL) -> str:
    """The small trace with text replaced; each text must be there."""
    text = "\n".join(lines) + "\n"
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


# ---- any records: the format holds more than makes sense together

_COUNTS = st.integers(1, 10**6)
_NAMES = st.text("abc_.{}é\u2028", min_size=1, max_size=8)
_LAUNCHES = st.none() | st.builds(Launch, st.integers(0, 99), st.integers(0, 99))
# Keys that this version does not know; values as JSON gives them back.
_EXTRA = st.dictionaries(
    st.sampled_from(["zz", "yy"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3), lambda x: st.lists(x), max_leaves=3
    ),
    max_size=2,
)


@st.composite
def sizes(draw: st.DrawFn) -> Expr:
    """An integer of at least 1, or an expression of symbols."""
    terms = draw(st.dictionaries(st.sampled_from(sorted(SYMBOLS)), st.integers(-9, 9).filter(bool), max_size=3))
    constant = draw(st.integers(-99, 99) if terms else _COUNTS)
    return Expr(constant, tuple(sorted(terms.items())))


def _values(row: Attribute) -> st.SearchStrategy[Any]:
    """Values that an attribute may have."""
    if isinstance(row.default, bool):
        return st.booleans()
    if isinstance(row.default, int):
        return st.integers(row.least, 99) | st.integers(row.least, 10**6)
    return st.sampled_from(row.words) if row.words else st.just("") | _NAMES


def _operators(weights: str) -> st.SearchStrategy[OpRecord]:
    @st.composite
    def one(draw: st.DrawFn) -> OpRecord:
        op = draw(st.sampled_from([name for name in OPS if name not in SENT]))
        said = {row.name: _values(row) for row in WEIGHTS}
        said["bits"] |= st.just(default_bits(op, weights))
        weight = st.builds(Weight, **said)
        experts = draw(st.integers(1, 8))
        return OpRecord(
            "decode", draw(_NAMES), draw(st.sampled_from(SCOPES)), draw(st.sampled_from(ROLES)), op, draw(sizes()),
            draw(sizes()), draw(st.just(Expr(1)) | sizes()), draw(st.sampled_from(PER)), draw(weight),
            tuple(draw(st.lists(st.builds(Table, _NAMES, _COUNTS), max_size=2))),
            tuple(draw(st.lists(st.builds(HeadGroup, *[_COUNTS] * 3, sizes(), st.just(0) | _COUNTS), max_size=2))),
            experts, draw(st.integers(1, experts)), tuple(draw(st.lists(_NAMES, max_size=2))), draw(_LAUNCHES),
            draw(_EXTRA), draw(st.dictionaries(_NAMES, st.tuples(st.integers(0, 9), _COUNTS), max_size=1)),
            draw(st.none() | sizes()), **{row.name: draw(_values(row)) for row in ATTRIBUTES},
        )  # fmt: skip

    return one()


_SHARES = st.decimals(0, 1, places=3).map(Fraction)
_ACCEPTANCES = st.builds(Acceptance, st.decimals(0, 99, places=2).map(Fraction)) | st.lists(
    _SHARES, min_size=1, max_size=3
).map(lambda shares: Acceptance.of(tuple(shares)))


def _lines() -> st.SearchStrategy[dict[str, Any]]:
    """What a line of the schedule says beside its steps and bindings."""
    return st.fixed_dictionaries(
        {},
        optional={
            "accept": _COUNTS | _ACCEPTANCES,
            "layers": _COUNTS | st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
            "cycle": _NAMES,
            "tree": st.lists(st.integers(-1, 9), min_size=1, max_size=4).map(tuple),
            "fork": _COUNTS,
            "reorder": _SHARES,
        },
    )


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Records that can be written; nothing says that they fit together."""
    weights = draw(st.sampled_from(sorted(DATA_TYPE_BITS)))
    model = st.builds(ModelInfo, _NAMES, _NAMES, *[_COUNTS] * 8, st.just("") | st.just("0f" * 32), st.none() | _COUNTS)
    binding = st.fixed_dictionaries(dict.fromkeys(SYMBOLS, _COUNTS))
    header = Header(
        draw(model), draw(st.sampled_from(["1.0", "1.7"])), weights, "bf16", draw(st.sampled_from(["bf16", "fp32"])),
        draw(st.dictionaries(_NAMES, _NAMES, max_size=2)), dict(SYMBOLS),
        draw(st.none() | st.just(()) | st.just((1, 0.5))), draw(_LAUNCHES),
        tuple(draw(st.lists(st.builds(Check, _NAMES, binding, *[_COUNTS] * 4), max_size=2))), draw(_EXTRA),
    )  # fmt: skip
    templates = [
        Template(
            "decode", draw(_COUNTS), draw(_COUNTS), tuple(draw(st.lists(_operators(weights), max_size=3))),
            draw(_EXTRA), draw(st.none() | model), draw(st.just("") | _NAMES),
        )
    ]  # fmt: skip
    first = draw(st.integers(0, 9))
    bindings = {symbol: draw(sizes()) for symbol in SYMBOLS}
    line = Schedule(
        draw(st.sampled_from(PHASES)), first, first + draw(st.integers(0, 9)), "decode", bindings,
        extra=draw(_EXTRA), **draw(_lines()),
    )  # fmt: skip
    return Trace(header, tuple(templates), (line,))


def with_extra_in(value: dict[str, Any], *path: str) -> dict[str, Any]:
    """`value` with an unknown key in the object at `path`."""
    inner: Any = value
    for name in path:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    inner["unheard_of"] = {"deep": [1]}
    return value
