"""What a `pimsim-trace` 1.1 may hold: one table, from which files are checked and the JSON Schema is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pimsim.workload.attributes import ATTRIBUTES, WEIGHTS, Attribute
from pimsim.workload.ops import OPS, PER, ROLES, SCOPES, SENT
from pimsim.workload.trace.fields import (
    Choice,
    Count,
    Digest,
    Either,
    Field,
    Flag,
    Items,
    Kind,
    Names,
    Number,
    Object,
    OneOf,
    Sink,
    Size,
    Slice,
    Steps,
    Text,
)
from pimsim.workload.trace.jsonline import DocumentPath
from pimsim.workload.trace.records import DATA_TYPE_BITS, FORMAT, MAJOR, PHASES

DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class _Routing(Object):
    """Uniform without weights, or by weights."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        super().check(value, path, sink)
        if not isinstance(value, dict):
            return
        if value.get("kind") == "weights" and "weights" not in value:
            sink.report((*path, "weights"), "is missing", 0)
        if value.get("kind") == "uniform" and "weights" in value:
            sink.report((*path, "weights"), "means nothing to kind 'uniform'", 0)


_DATA_TYPE = Choice("data type", tuple(DATA_TYPE_BITS))
_LAUNCH = Object(
    (
        Field("aten", Count(), "ATen operators, views included", True),
        Field("kernels", Count(), "device kernels", True),
    )
)

_MODEL = Object(
    (
        Field("name", Text(), "name of the model", True),
        Field("family", Text(), "what its checkpoints are called after: gpt2, llama, ...", True),
        Field("layers", Count(1), "decoder layers", True),
        Field("d_model", Count(1), "elements of the vector between layers", True),
        Field("heads", Count(1), "query heads", True),
        Field("kv_heads", Count(1), "heads of K and V", True),
        Field("head_dim", Count(1), "elements of a head", True),
        Field("d_ff", Count(1), "elements between the two matrices of a feed-forward network", True),
        Field("vocabulary", Count(1), "rows of the token table", True),
        Field("max_positions", Count(1), "longest context", True),
        Field("config_sha256", Digest(), "SHA-256 of family and sizes; must agree if given"),
        Field("parameters", Count(1), "of the templates, a tied matrix once; must agree if given"),
    )
)

_CHECK = Object(
    (
        Field("template", Text(), "the template that is meant", True),
        Field("binding", Names(Count(1)), "a value for each symbol", True),
        Field("flops", Count(), "arithmetic operations of the step, 2 per multiply-accumulate", True),
        Field("matrix_flops", Count(), "those of matrix products: weights, q K^T and p V", True),
        Field("weight_bytes", Count(), "all weights of the step, each once", True),
        Field("kv_bytes", Count(), "K and V of the tokens that are attended to", True),
    )
)

HEADER = Object(
    (
        Field("type", Choice("record", ("header",)), "the kind of line", True),
        Field("format", Choice("format", (FORMAT,)), "the name of the format", True),
        Field("version", Text(), f"{MAJOR}.n; another major version is refused", True),
        Field("model", _MODEL, "the model that was recorded", True),
        Field(
            "data_types",
            Object(
                (
                    Field("weights", _DATA_TYPE, "of weights that do not say it themselves", True),
                    Field("activations", _DATA_TYPE, "of the vectors between operators", True),
                    Field("kv", _DATA_TYPE, "of K and V", True),
                )
            ),
            "data type of each class of operands",
            True,
        ),
        Field("producer", Names(Text(longest=1000), symbols=False), "what made the trace: versions, options"),
        Field("symbols", Names(Text(empty=True, longest=1000)), "the symbols of expressions and what they mean", True),
        Field(
            "routing",
            _Routing(
                (
                    Field("kind", Choice("routing", ("uniform", "weights")), "how experts are chosen", True),
                    Field("weights", Items(Number(), 1), "how often each is chosen, relative to the others"),
                )
            ),
            "needed if an operator has experts: how a token chooses among them",
        ),
        Field("overhead", _LAUNCH, "launches of a step that belong to no operator (masks, positions)"),
        Field("checks", Items(_CHECK), "what a step comes to at stated bindings; recomputed, must agree"),
    )
)

TEMPLATE = Object(
    (
        Field("type", Choice("record", ("template",)), "the kind of line", True),
        Field("id", Text(), "its name", True),
        Field(
            "repeat",
            Object(
                (
                    Field("layers", Count(1), "layers that the block spans", True),
                    Field("count", Count(1), "how often the block runs in a step", True),
                )
            ),
            "the block; layers x count are the layers of the model",
            True,
        ),
        Field(
            "model",
            Object(tuple(replace(field, required=False) for field in _MODEL.fields)),
            "1.1: the model that it is of, if that is another one; what is left out is as the header's",
            default="the header's",
        ),
        Field(
            "weights_of",
            Text(),
            "1.1: the template whose weights its operators of the same names and sizes have",
            default="those of the same model that are alike are one",
        ),
    )
)


def _kind(row: Attribute) -> Kind:
    """The kind of value of an attribute."""
    if isinstance(row.default, bool):
        return Flag()
    if isinstance(row.default, int):
        return Count(row.least)
    return Choice(row.name, row.words) if row.words else Text(row.shortest == 0, row.longest)


def _attributes(rows: tuple[Attribute, ...]) -> tuple[Field, ...]:
    """The keys of attributes."""
    return tuple(Field(row.name, _kind(row), row.meaning, default=row.missing or _value(row.default)) for row in rows)


def _value(default: int | str) -> str:
    """A value as a line has it."""
    return str(default).lower() if isinstance(default, bool) else str(default)


_WEIGHT = Object(_attributes(WEIGHTS))

_HEAD_GROUP = Object(
    (
        Field("heads", Count(1), "query heads", True),
        Field("kv_heads", Count(1), "heads of K and V", True),
        Field("head_dim", Count(1), "elements of a head", True),
        Field("kv_len", Size(), "tokens that are attended to", True),
        Field("value_dim", Count(1), "1.1: elements of a head of V", default="head_dim"),
    )
)

OP = Object(
    (
        Field("type", Choice("record", ("op",)), "the kind of line", True),
        Field("template", Text(), "the template before it, to which it belongs", True),
        Field("id", Text(), "its name, once in a template", True),
        Field("scope", Choice("scope", SCOPES), "in the block, or once before or after the blocks", True),
        Field("role", Choice("role", ROLES), "what it is for", True),
        Field("op", Choice("operator", OPS, never=SENT), "what it computes", True),
        Field("in", Size(), "elements that go in; of an embedding the rows of all tables", True),
        Field("out", Size(), "elements that come out", True),
        Field("rows", Size(), "vectors of `in` elements for a token, as in a norm over heads", default="1"),
        Field("per", Choice("per", PER), "token, or sequence: only the last token of a prompt", default="token"),
        Field("weight", _WEIGHT, "its weights"),
        Field(
            "tables",
            Items(
                Object(
                    (
                        Field("name", Text(empty=True, longest=1000), "in a checkpoint"),
                        Field("rows", Count(1), "rows of `out` elements", True),
                    )
                ),
                1,
            ),
            "of an embedding: tokens first, then positions",
        ),
        Field("head_groups", Items(_HEAD_GROUP, 1), "of an attention: heads of the same sizes"),
        *_attributes(ATTRIBUTES),
        Field(
            "experts",
            Object(
                (
                    Field("count", Count(1), "copies of the weights that are stored", True),
                    Field("active", Count(1), "copies that one token uses", True),
                )
            ),
            "of what a router chooses",
        ),
        Field("deps", Items(Text()), "operators before it in its scope whose results it reads, or `input`", True),
        Field(
            "take",
            Names(Slice(), symbols=False),
            "1.1: of a dependency [offset, size], where not all that it gives is read",
            default="all of each",
        ),
        Field(
            "tokens",
            Size(),
            "1.1: vectors that it takes in a step, for each sequence, where they are not the step's tokens",
            default="Q",
        ),
        Field("launch", _LAUNCH, "what one execution launched, in eager mode", default="not recorded"),
    )
)

_ACCEPTANCE = OneOf(
    (
        Field("mean", Number(), "tokens that a step keeps on average, the target's own included"),
        Field("positions", Items(Number(1), 1), "chance that each draft is kept; a step keeps 1 + their sum"),
    )
)

SCHEDULE = Object(
    (
        Field("type", Choice("record", ("schedule",)), "the kind of line", True),
        Field("phase", Choice("phase", PHASES), "prefill or decode", True),
        Field("steps", Steps(), "how many, or [first, last]; the number of a step is `step` in bindings", True),
        Field("template", Text(), "the template that they run", True),
        Field("bindings", Names(Size()), "a value for each symbol, affine in `step`, in a cycle in `kept` too", True),
        Field(
            "accept",
            Either(Count(), record=_ACCEPTANCE),
            "query tokens that a step keeps; 1.1: {mean: tokens on average}, or {positions: chance of each draft}",
            default="all Q",
        ),
        Field(
            "layers",
            Either(Count(1), items=Items(Count(), 1)),
            "layers that run: the first n; 1.1: or a list of their numbers",
            default="all",
        ),
        Field("cycle", Text(), "1.1: name; consecutive lines of one name repeat together", default="none"),
        Field(
            "tree",
            Items(Count(-1), 1),
            "1.1: of each token of a step the one that it follows (-1: none of the step)",
            default="each the one before it",
        ),
        Field("fork", Count(1), "1.1: sequences that go on from here, which share what is there", default="none"),
        Field(
            "reorder",
            Number(),
            "1.1: sequences that go on from the tokens of another one, on average in each step",
            default="0",
        ),
    )
)

RECORDS = {"header": HEADER, "template": TEMPLATE, "op": OP, "schedule": SCHEDULE}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of one line of a trace; what lines say of each other is beyond it."""
    return {
        "$schema": DRAFT,
        "title": f"{FORMAT} {MAJOR}, one line",
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(RECORDS)}},
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in RECORDS],
        "$defs": {name: kind.schema() for name, kind in RECORDS.items()},
    }
