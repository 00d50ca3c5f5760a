"""What the ASIC's arithmetic costs: counted operations through adders and multipliers.

Every function is a list of passes over vectors held in the SRAM.  A pass streams its
elements through pipelined adders and multipliers, so its clocks are the largest of
  adds / adders, multiplies / multipliers, bytes read / port, bytes written / port,
plus the depth of its pipeline: one clock per operation of the longest chain that a
single element goes through.  Nothing is a constant per operator.

Functions (source: paper names the methods, the counts follow from them):
  exp(x)     `range_reduction: none`: Taylor series of k terms about 0 by Horner: k - 1 multiplies,
             k - 1 adds
  gelu(x)    with it: 0.5 x + x^2 P(x^2) with a Taylor polynomial P of k terms:
             k + 2 multiplies, k adds
  1/d        Newton-Raphson y (2 - d y): an integer subtraction for the first guess,
             then 2 multiplies and 1 add per step
  1/sqrt(v)  the fast inverse square root: an integer subtraction for the first guess,
             one multiply for v / 2, then 3 multiplies and 1 add per Newton step
  layernorm  mean; deviations, squares and their sum; 1/sqrt; scale, gain and bias
  softmax    maximum; exp(x - max) and its sum; reciprocal; scale.  The 1/sqrt(head_dim)
             of attention is folded into the query weights
  exponentials  a softmax without its scale, which the banks carry out

With `range_reduction: ln2` (assumed: no text of the paper has it; without it neither function is of use
beyond |x| of about 2, where six terms end):
  exp(x)     2^n exp(r) with n = round(x log2 e) and r = (x - n hi) - n lo, ln 2 in two parts as
             Cody and Waite have it: a multiply and an add for n (an adder rounds to an integer as it
             aligns and rounds a sum), 2 multiplies and 2 adds for r, the series of k terms for exp(r),
             and an add of n to its exponent, an integer.  n hi and n lo are made side by side, so the
             longest chain is one shorter than the operations.  What is too large or too small costs
             nothing: the adder of the exponent stops at its ends, at 0 and at the largest number
  gelu(x)    x / (1 + exp(-x (a + b x^2))), the form with tanh, a = sqrt(8 / pi) and b = 0.044715 a: the square,
             a multiply and an add, times x; exp, an add, a reciprocal per element, a multiply

Of models that the paper does not run (derived: the same methods):
  rmsnorm    squares and their sum; 1/sqrt of the mean; scale and gain
  silu       x / (1 + exp(-x)): exp with the signs in its coefficients, an add, a reciprocal
             per element, a multiply
  tanh       cap tanh(x / cap) = cap - 2 cap / (1 + exp(2 x / cap)): a multiply, exp, an add,
             a reciprocal per element, a multiply and a subtraction (of |x|: a sign costs nothing)
  relu       a comparison, on an adder
  mul, scale a multiply per element: of two vectors, or with a constant
  rope       x cos + x' sin: two multiplies and an add per element.  sin and cos of the
             token's position come from a table: a row of it arrives with the token, its
             making is not counted
  quantise   the largest |x|, times 1/largest number of the format: the scale; its reciprocal; times it, and an add
             that rounds to a step of the format.  A number takes a word of the SRAM before and after (assumed)
  topk       for each choice a maximum over all; the chosen are added up and scaled by 1/sum
  weighted   a multiply per element of each vector, and their sum
  scaled     the same of partial sums, each with a scale of its own that is read beside it

Of operators that keep a state, for one token (derived: as transformers' reference computes them, on the paper's
methods; `mapping.states` says how a state gets here):
  conv       the new vector and the `ways - 1` before it, each element times a tap of its channel, and their sum.  A
             bias is a sum of its own, as a product's is
  ssm_update of each channel with n elements of state h: dt = softplus(dt + bias), then for every element
             h = exp(dt A) h + (dt x) B, and y = sum(C h) + D x.  So softplus, the bias of dt and D are in it; what
             makes dt, B and C, the gate and its SiLU are operators of their own.  exp is of every element, and
             softplus of every channel, as there, also where A and dt are one number for a head (Mamba-2)
  softplus   ln(1 + exp(x)).  `none`: the Taylor series about 0, ln 2 + 0.5 x + x^2 P(x^2), as gelu's and an add.
             `ln2`: 1 + exp(x) = 2^e m; e and m come apart with an integer subtraction, ln m is a series of k
             terms in m - 1, a multiply and an add for e ln 2
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from pimsim.config.schema import AsicConfig
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.registry import Registry


@dataclass(frozen=True)
class Pass:
    """One sweep: totals of operations, bytes through the ports, and the pipeline's depth in clocks.

    reduces: a tree of adders is part of the pipeline.
    """

    adds: int
    multiplies: int
    reads: int
    writes: int
    depth: int
    reduces: bool = False


# The passes of a function over so many vectors of n elements each.
Passes = Callable[[AsicConfig, int, int], Sequence[Pass]]

# Inputs of the widest tree of adders (source: assumed: the shipped ASIC's adders; more of them are more trees).
TREE = 256


@dataclass(frozen=True)
class Cost:
    """ASIC clocks and counted actions of one operator; `written`: those of the bytes that are written."""

    cycles: int = 0
    adds: int = 0
    multiplies: int = 0
    sram_bytes: int = 0
    written: int = field(default=0, compare=False)

    @cached_property
    def operations(self) -> tuple[int, int, int]:
        """Additions, multiplications and bytes of the SRAM."""
        return self.adds, self.multiplies, self.sram_bytes


class Timed(NamedTuple):
    """What one operator costs, and for how many DRAM clocks it needs the units and the SRAM's read and write port."""

    cost: Cost
    clocks: int
    ports: tuple[int, int]


@dataclass(frozen=True)
class Units:
    """The arithmetic of one ASIC.

    `cost(kind, n, vectors, ways)` prices `vectors` vectors of n elements each; kinds are the
    methods named in KINDS.  ways: what a topk chooses and a weighted sum adds up, of each
    vector.  KeyError for another kind.
    """

    config: AsicConfig
    _known: dict[tuple[str, int, int, int], Cost] = field(default_factory=dict, compare=False, repr=False)
    _timed: dict[tuple[str, int, int, int, int], Timed] = field(default_factory=dict, compare=False, repr=False)
    _moved: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)

    def cost(self, kind: str, n: int, vectors: int = 1, ways: int = 1) -> Cost:
        """Clocks and actions of one operator; cached, since steps repeat them."""
        key = (kind, n, vectors, ways)
        if key not in self._known:
            _make_room(self._known)
            self._known[key] = self._total(self.passes(*key))
        return self._known[key]

    def timed(self, kind: str, n: int, vectors: int, ways: int, tCK_ps: int) -> Timed:
        """The same with the DRAM clocks that it takes; cached as well."""
        key = (kind, n, vectors, ways, tCK_ps)
        if (found := self._timed.get(key)) is None:
            _make_room(self._timed)
            cost = self.cost(kind, n, vectors, ways)
            ports = self.port_clocks(cost.sram_bytes - cost.written, cost.written, tCK_ps)
            found = self._timed[key] = Timed(cost, self.clocks(cost.cycles, tCK_ps), ports)
        return found

    def port_clocks(self, read: int, written: int, tCK_ps: int) -> tuple[int, int]:
        """DRAM clocks for which so many bytes need the SRAM's read port and its write port; cached."""
        key = (read, written, tCK_ps)
        if (found := self._moved.get(key)) is None:
            _make_room(self._moved)
            found = self.transfer_clocks(read, tCK_ps), self.transfer_clocks(written, tCK_ps)
            self._moved[key] = found
        return found

    def passes(self, kind: str, n: Any, vectors: int, ways: int) -> Sequence[Pass]:
        """The sweeps of one operator; of a shipped kind n may be an array, too."""
        if kind in _WITH_WAYS:
            return _WITH_WAYS[kind](self.config, n, vectors, ways)
        return KINDS[kind](self.config, n, vectors)

    def _total(self, passes: Sequence[Pass]) -> Cost:
        return Cost(
            sum(self._cycles(p) for p in passes),
            sum(p.adds for p in passes),
            sum(p.multiplies for p in passes),
            sum(p.reads + p.writes for p in passes),
            sum(p.writes for p in passes),
        )

    def _cycles(self, p: Pass) -> int:
        """Clocks of a pass.  A reduction on few adders takes no less than on a wider tree, whose parts it is.

        (Else a shallower tree would be the faster one wherever the ports set the pace, and more adders cost time.)
        """
        return max(pace + depth if pace else 0 for pace, depth in self.paces(p, max))

    def paces(self, p: Pass, most: Callable[..., Any]) -> Iterator[tuple[Any, int]]:
        """(clocks, depth of the pipeline) of a pass on each width of adders that it may not be faster than.

        most: the largest of several numbers.
        """
        c = self.config
        wider = [width for width in _WIDTHS if width > c.adders] if p.reduces else []
        for width in (c.adders, *wider):
            pace = most(
                -(-p.adds // width),
                -(-p.multiplies // c.multipliers),
                -(-p.reads // c.sram_port_bytes),
                -(-p.writes // c.sram_port_bytes),
            )
            yield pace, p.depth + (_levels(width) if p.reduces else 0)

    def clocks(self, cycles: int, tCK_ps: int) -> int:
        """ASIC clocks as DRAM clocks, rounded up to the next edge."""
        return -(-cycles * 1000 * self.clock_ratio[1] // (self.clock_ratio[0] * tCK_ps))

    def transfer_clocks(self, transfer_bytes: int, tCK_ps: int) -> int:
        """DRAM clocks that one SRAM port needs for `transfer_bytes`."""
        return -(
            -transfer_bytes * 1000 * self.clock_ratio[1] // (self.clock_ratio[0] * tCK_ps * self.config.sram_port_bytes)
        )

    @cached_property
    def clock_ratio(self) -> tuple[int, int]:
        """The clock in GHz as an exact ratio."""
        return self.config.clock_GHz.as_integer_ratio()


_MOST = 1 << 14  # prices that are kept: long runs meet a new size in each step


def _make_room(known: dict[Any, Any]) -> None:
    if len(known) >= _MOST:
        known.clear()


_WIDTHS = tuple(1 << k for k in range(TREE.bit_length()))


def _levels(adders: int) -> int:
    """Depth of a tree of as many adders; it has a power of two of inputs."""
    return max(1, min(adders, TREE).bit_length() - 1)


def _sweep(
    total: int, adds: int, multiplies: int, depth: int, operands: int = 1, results: int = 1, reduces: bool = False
) -> Pass:
    """A pass with the given operations per element over `total` elements."""
    size = total * ELEMENT_BYTES
    return Pass(total * adds, total * multiplies, size * operands, size * results, depth, reduces)


# (adds, multiplies, depth) of the reduction of exp's range, and of what it costs to undo it.
_REDUCTION = {"none": (0, 0, 0), "ln2": (1 + 2 + 1, 1 + 2, 2 + 3 + 1)}


def _exp(c: AsicConfig) -> tuple[int, int, int]:
    """(adds, multiplies, depth) of exp for one element."""
    adds, multiplies, depth = _REDUCTION[c.range_reduction]
    series = c.taylor_terms - 1
    return adds + series, multiplies + series, depth + 2 * series


def _layernorm(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    total, steps = n * vectors, c.newton_steps
    return [
        Pass(total, vectors, total * ELEMENT_BYTES, 0, 1, reduces=True),  # mean
        Pass(2 * total, total + vectors, total * ELEMENT_BYTES, total * ELEMENT_BYTES, 3, reduces=True),  # variance
        Pass((1 + steps) * vectors, (1 + 3 * steps) * vectors, 0, 0, 2 + 4 * steps),  # 1/sqrt
        _sweep(total, 1, 2, 3, operands=3),  # times 1/sigma, times gain, plus bias
    ]


def _softmax(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    total, steps = n * vectors, c.newton_steps
    adds, multiplies, depth = _exp(c)
    return [
        _sweep(total, 1, 0, 0, results=0, reduces=True),  # maximum
        _sweep(total, 1 + adds + 1, multiplies, 1 + depth, reduces=True),  # exp and sum
        Pass((1 + steps) * vectors, 2 * steps * vectors, 0, 0, 1 + 3 * steps),  # reciprocals
        _sweep(total, 0, 1, 1),  # scale
    ]


def _exponentials(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    return _softmax(c, n, vectors)[:-1]


def _gelu(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    if c.range_reduction == "none":
        terms = c.taylor_terms
        return [_sweep(n * vectors, terms, terms + 2, 2 * terms + 2)]
    adds, multiplies, depth = _reciprocal_of_exp(c)
    return [_sweep(n * vectors, 1 + adds, 3 + multiplies + 1, 4 + depth + 1)]


def _add(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    return [_sweep(n * vectors, 1, 0, 1, operands=2)]


def _argmax(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    return [_sweep(n * vectors, 1, 0, 0, results=0, reduces=True)]


def _rmsnorm(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    total, steps = n * vectors, c.newton_steps
    return [
        Pass(total, total + vectors, total * ELEMENT_BYTES, 0, 2, reduces=True),  # mean of the squares
        Pass((1 + steps) * vectors, (1 + 3 * steps) * vectors, 0, 0, 2 + 4 * steps),  # 1/sqrt
        _sweep(total, 0, 2, 2, operands=2),  # times 1/rms, times gain
    ]


def _reciprocal_of_exp(c: AsicConfig) -> tuple[int, int, int]:
    """(adds, multiplies, depth) of 1 / (1 + exp(x)) for one element."""
    adds, multiplies, depth = _exp(c)
    steps = c.newton_steps
    return adds + 1 + (1 + steps), multiplies + 2 * steps, depth + 1 + (1 + 3 * steps)


def _silu(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    adds, multiplies, depth = _reciprocal_of_exp(c)
    return [_sweep(n * vectors, adds, multiplies + 1, depth + 1)]


def _tanh(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    adds, multiplies, depth = _reciprocal_of_exp(c)
    return [_sweep(n * vectors, adds + 1, multiplies + 2, 1 + depth + 2)]


def _compare(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    return [_sweep(n * vectors, 1, 0, 1)]


def _multiply(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    return [_sweep(n * vectors, 0, 1, 1, operands=2)]


def _scale(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    return [_sweep(n * vectors, 0, 1, 1)]


def _rope(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    return [_sweep(n * vectors, 1, 2, 2, operands=3)]  # x, which is also another element's x', cos and sin


def _quantise(c: AsicConfig, n: int, vectors: int) -> list[Pass]:
    total, steps = n * vectors, c.newton_steps
    return [
        _sweep(total, 1, 0, 0, results=0, reduces=True),  # maximum
        Pass((1 + steps) * vectors, (1 + 2 * steps) * vectors, 0, 0, 2 + 3 * steps),  # the scale, and its reciprocal
        _sweep(total, 1, 1, 2),  # scale and round
    ]


def _topk(c: AsicConfig, n: int, vectors: int, chosen: int) -> list[Pass]:
    steps, size = c.newton_steps, chosen * vectors * ELEMENT_BYTES
    share = Pass(
        (chosen - 1 + 1 + steps) * vectors, (2 * steps + chosen) * vectors, size, size, chosen - 1 + 1 + 3 * steps + 1
    )
    return [*[_sweep(n * vectors, 1, 0, 0, results=0, reduces=True)] * chosen, share]


def _weighted(c: AsicConfig, n: int, vectors: int, ways: int) -> list[Pass]:
    return [_sweep(n * vectors, ways - 1, ways, ways, operands=ways)]


def _scaled(c: AsicConfig, n: int, vectors: int, ways: int) -> list[Pass]:
    return [_sweep(n * vectors, ways - 1, ways, ways, operands=2 * ways)]


def _softplus(c: AsicConfig) -> tuple[int, int, int]:
    """(adds, multiplies, depth) of ln(1 + exp(x)) for one element."""
    terms = c.taylor_terms
    if c.range_reduction == "none":
        return terms + 1, terms + 2, 2 * terms + 3
    adds, multiplies, depth = _exp(c)
    series = 1 + (terms - 1) + 1  # m - 1, the series, e ln 2
    return adds + 1 + 1 + series, multiplies + terms + 1, depth + 1 + 1 + 1 + (2 * terms - 1) + 1


def _conv(c: AsicConfig, n: int, vectors: int, taps: int) -> list[Pass]:
    return [_sweep(n * vectors, taps - 1, taps, taps, operands=2 * taps)]  # with the taps themselves


def _ssm_update(c: AsicConfig, n: int, channels: int, ways: int) -> list[Pass]:
    total, size = n * channels, channels * ELEMENT_BYTES
    (more, times, deep), (adds, multiplies, depth) = _softplus(c), _exp(c)
    return [
        # dt, its bias and x in, dt and dt x out
        Pass((1 + more) * channels, (times + 1) * channels, 3 * size, 2 * size, 1 + deep + 1),
        # h, A, B and C, of each channel dt and dt x in; h and of each channel a sum out
        Pass(
            total * (adds + 1 + 1), total * (1 + multiplies + 3), total * ELEMENT_BYTES * 4 + 2 * size,
            total * ELEMENT_BYTES + size, 1 + depth + 1 + 1 + 1, reduces=True,
        ),
        _sweep(channels, 1, 1, 2, operands=3),  # plus D x
    ]  # fmt: skip


_SHIPPED: dict[str, Passes] = {
    "layernorm": _layernorm,
    "rmsnorm": _rmsnorm,
    "softmax": _softmax,
    "exponentials": _exponentials,
    "gelu": _gelu,
    "silu": _silu,
    "relu": _compare,
    "tanh": _tanh,
    "mul": _multiply,
    "scale": _scale,
    "rope": _rope,
    "residual": _add,
    "sum": _add,  # partial sums of chunks, biases, embeddings
    "argmax": _argmax,
    "quantise": _quantise,
}
KINDS: Registry[Passes] = Registry("ASIC function", _SHIPPED)
KINDS_OF_WAYS = {"topk": _topk, "weighted": _weighted}
# What belongs to number formats, and is no operator of a graph.
KINDS_OF_FORMATS = {"scaled": _scaled}
# What is priced of one token's state, and is no function of values: n, vectors and ways as `mapping.states` has them.
KINDS_OF_STATES = {"conv": _conv, "ssm_update": _ssm_update}
_WITH_WAYS = {**KINDS_OF_WAYS, **KINDS_OF_FORMATS, **KINDS_OF_STATES}
ARRAYS = frozenset((*KINDS.shipped, *_WITH_WAYS))  # kinds whose passes take an array of sizes
