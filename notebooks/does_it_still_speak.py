# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does it still speak?
#
# An ASIC with fewer Taylor terms is faster. Is what it computes still the model? Here each design reads a chapter that
# two small models have not seen, and continues a sentence: the simulated arithmetic on real weights, rounding by
# rounding, with latency and energy of the same run.
#
# The models are in the repository (`tests/golden/models`): a GPT and a Llama, of characters, trained on 28 chapters of
# *Pride and Prejudice*; chapter 29 is the text. It needs `pip install 'pimsim[values]'`.

# %%
# %config InlineBackend.figure_format = "retina"
from pathlib import Path

import pimsim

MODELS = Path(pimsim.__file__).parents[1] / "tests" / "golden" / "models"
assert MODELS.exists(), "the models of this notebook are in a clone of the repository, not in the package"
NAMES = ("char-gpt", "char-llama")
HARDWARE = pimsim.load_config("pim-gpt").with_(baselines=[])
PERPLEXITY, REFERENCE = "accuracy.perplexity", "accuracy.reference_perplexity"

# %% [markdown]
# ## A sweep that listens
#
# `accuracy` names weights and a text. Every point is then a run of these weights, and its row says how well it
# speaks: `accuracy.perplexity`, `accuracy.agreement` with the float32 reference, `accuracy.mean_kl`. Points that round
# alike share what was computed.


# %%
def sweep(name, axes, objectives=()):
    """The rows of a sweep over `axes`, of the model `name`, at a context of 128 tokens."""
    work = {"workload.context": 128, "workload.output_tokens": 1, "baselines": []}
    text = MODELS / "text" / "chapter-29.txt"
    return pimsim.sweep(
        {
            "name": name,
            "base": "pim-gpt",
            "set": work,
            "axes": axes,
            "accuracy": {"weights": str(MODELS / name), "text": str(text), "tokens": 512},
            "objectives": list(objectives),
        },
        workers=0,
    )


SERIES = {"asic.range_reduction": ["none", "ln2"], "asic.taylor_terms": {"range": [1, 8]}}
taylor = {name: list(sweep(name, SERIES).rows()) for name in NAMES}
row = next(row for row in taylor["char-llama"] if row["asic.taylor_terms"] == 6 and row[PERPLEXITY])
for key in ("asic.taylor_terms", "asic.range_reduction", "system.latency_per_token_ns", PERPLEXITY, REFERENCE):
    print(f"{key:30s} {row[key]}")

# %% [markdown]
# ## Taylor terms: more are no help
#
# The paper's text computes exp by a Taylor series about 0. A softmax takes exp of numbers far below 0, where a series
# of eight terms is huge, of either sign, and nothing like exp: the model is no better than a guess among its 73
# characters (an even number of terms can give no numbers at all: crosses at the top). Written as 2^n exp(r), with r
# between -0.35 and 0.35, two terms are nearly enough. That is why `generate`, `accuracy` and sweeps with weights have
# `asic.range_reduction: ln2` unless told otherwise.

# %%
from pimsim.plots import style

TERMS = range(1, 9)
COLOURS = {"none": style.VERMILION, "ln2": style.BLUE}
LABELS = {"none": "exp(x) as a series", "ln2": "2^n exp(r), r as a series"}


def panels(count, height=3.2):
    """The axes of a figure with panels side by side."""
    figure = style.figure_of(style.axes_or_new(None, height))
    figure.clear()
    return figure.subplots(1, count, squeeze=False)[0]


def legend_above(ax):
    """One legend for all panels, with the labels of one of them."""
    style.figure_of(ax).legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4, columnspacing=1.2)


NO_NUMBERS = 3000  # where the crosses are
with style.drawing():
    axes = panels(2, 3.4)
    for ax, name in zip(axes, NAMES, strict=True):
        for how, colour in COLOURS.items():
            found = {r["asic.taylor_terms"]: r[PERPLEXITY] for r in taylor[name] if r["asic.range_reduction"] == how}
            known = [(terms, value) for terms, value in found.items() if value is not None]
            ax.semilogy(*zip(*known, strict=True), "o-", color=colour, label=LABELS[how])
            if lost := [terms for terms, value in found.items() if value is None]:
                ax.plot(lost, [NO_NUMBERS] * len(lost), "x", color=colour, label="no numbers")
        ax.axhline(73, color=style.GREY, linestyle=":", label="a guess: 73")
        ax.axhline(taylor[name][0][REFERENCE], color=style.BLACK, linewidth=0.8, linestyle="--", label="reference")
        ax.set(title=name, xlabel="Taylor terms", xticks=TERMS, ylim=(1, 2 * NO_NUMBERS))
        style.log_ticks(ax.yaxis)
        ax.grid(axis="y")
    axes[0].set_ylabel("perplexity")
    legend_above(axes[1])

# %% [markdown]
# ## What each design writes
#
# Greedy, the likeliest character each time. These models are small, and like to repeat themselves; the point is how
# near a design stays to what the reference says.

# %%
import numpy as np

from pimsim.generation.speaking import speaking
from pimsim.values.fast.model import Fast
from pimsim.values.reference import Reference
from pimsim.values.tokens.load import load_tokenizer
from pimsim.values.weights.load import load_weights

PROMPT, CHARACTERS = "Mr. Collins was ", 56
weights = {name: load_weights(MODELS / name) for name in NAMES}
tokenizers = {name: load_tokenizer(None, weights[name]) for name in NAMES}


def says(name, changes, weights):
    """How the hardware of a configuration goes on, with weights of the model `name`."""
    tokenizer = tokenizers[name]
    config = HARDWARE.with_(changes)
    fed, said = tokenizer.encode(PROMPT), []
    with np.errstate(all="ignore"):
        fast = Fast(speaking(config, weights, len(fed), CHARACTERS).whole, weights)
        while len(said) < CHARACTERS:
            fast.feed(fed)
            fed = [int(fast.next_ids[-1])]
            said += fed
    return tokenizer.decode(said)


DESIGNS = {
    "6 terms, as a series": {"asic.range_reduction": "none"},
    "6 terms, 2^n exp(r)": {},
    "2 terms": {"asic.taylor_terms": 2},
    "1 term": {"asic.taylor_terms": 1},
    "no Newton step": {"asic.newton_steps": 0},
    "BF16 accumulators": {"values.accumulate": "bf16"},
}
for name in NAMES:
    tokenizer = tokenizers[name]
    right = Reference(weights[name]).generate(tokenizer.encode(PROMPT), CHARACTERS)
    print(f"{name}: {PROMPT}...\n{'  float32 reference':24s}{tokenizer.decode(right)!r}")
    for design, changes in DESIGNS.items():
        print(f"  {design:22s}{says(name, changes, weights[name])!r}")

# %% [markdown]
# ## Newton steps, accumulators, chunks
#
# 1/x and 1/sqrt(x) start from a guess and take Newton steps; each squares the error. The first step is worth having;
# after the second there is nothing left that BF16 could hold.
#
# A bank adds up products and gives one BF16 sum for each chunk of a vector, as long as the global buffer; the ASIC adds
# the chunks up in BF16. Short chunks round more often; an accumulator that is itself BF16 rounds at every beat, more
# often in long chunks. Both are small beside a missing Newton step, in these models, whose vectors have 96 to 360
# elements; a large model adds up thousands.

# %%
STEPS, BYTES = [0, 1, 2, 3], [64, 128, 256, 512, 1024, 2048]
newton = {name: list(sweep(name, {"asic.newton_steps": STEPS}).rows()) for name in NAMES}
chunks = {"values.accumulate": ["fp32", "bf16"], "pim.global_buffer_bytes": BYTES}
sums = {name: list(sweep(name, chunks).rows()) for name in NAMES}

MARKS = dict(zip(NAMES, "os", strict=True))
with style.drawing():
    left, right = panels(2)
    for name, colour in zip(NAMES, (style.GREEN, style.PURPLE), strict=True):
        found = [row["accuracy.mean_kl"] for row in newton[name]]
        left.semilogy(STEPS, found, f"{MARKS[name]}-", color=colour, label=name)
        for line, accumulate in (("-", "fp32"), ("--", "bf16")):
            found = [r["accuracy.mean_kl"] for r in sums[name] if r["values.accumulate"] == accumulate]
            right.plot(BYTES, found, MARKS[name] + line, color=colour, label=f"{name}, {accumulate}")
    left.set(title="Newton steps", xlabel="steps", xticks=STEPS, ylabel="mean KL to the reference, nats")
    right.set(
        title="Sums",
        xscale="log",
        yscale="log",
        xlabel="global buffer, bytes (a chunk)",
        xticks=BYTES,
        xticklabels=BYTES,
    )
    right.xaxis.minorticks_off()
    right.sharey(left)
    style.log_ticks(left.yaxis)
    for ax in (left, right):
        ax.grid(axis="y", which="both")
        ax.legend()

# %% [markdown]
# ## What it costs
#
# Terms and steps take time and energy; the same units do them, so they take no area. Area is how many units there are.
# The paper gives one figure, 0.64 mm2 for 256 adders, 128 multipliers and 128 KB; how it divides is assumed
# (docs/sweeps.md: 40% SRAM, a multiplier as large as two adders), so that the third panel shows an order of designs,
# not sizes. The front has the designs that no other beats in all four. A perplexity below the reference's is luck, and
# so is an order of designs that differ in the last digit; `accuracy.mean_kl` has no luck.
#
# The design as it is shipped, six terms and two steps, is not on the front: for this model two terms and one step speak
# as well, in 6% less time.

# %%
from pimsim.sweep.proxy import ASIC, SRAM_SHARE

AXES = {
    "asic.taylor_terms": [1, 2, 3, 6],
    "asic.newton_steps": [0, 1, 2],
    "zip": {"asic.adders": [32, 64, 128, 256], "asic.multipliers": [16, 32, 64, 128]},
}
STEP_COLOURS = {0: style.ORANGE, 1: style.BLUE, 2: style.SKY}
LATENCY, ENERGY = "system.latency_per_token_ns", "system.energy_per_token_pJ"
costs = sweep("char-llama", AXES, (PERPLEXITY, LATENCY, ENERGY, "proxy.area_mm2"))


def asic_mm2(row):
    return ASIC * (SRAM_SHARE + (1 - SRAM_SHARE) * (row["asic.adders"] + 2 * row["asic.multipliers"]) / 512)


def design(row):
    return f"{row['asic.taylor_terms']} terms, {row['asic.newton_steps']} steps, {row['asic.adders']} adders"


rows, front = list(costs.rows()), costs.pareto()
COSTS = {
    "latency, us a token": lambda row: row[LATENCY] / 1e3,
    "energy, uJ a token": lambda row: row[ENERGY] / 1e6,
    "ASIC, mm2 (shares assumed)": asic_mm2,
}
with style.drawing():
    axes = panels(3, 3.4)
    for ax, (label, cost) in zip(axes, COSTS.items(), strict=True):
        for steps, colour in STEP_COLOURS.items():
            for mark, which in (("^", [1]), ("o", [2, 3, 6])):
                points = [
                    (cost(row), row[PERPLEXITY])
                    for row in rows
                    if row["asic.newton_steps"] == steps and row["asic.taylor_terms"] in which
                ]
                text = f"Newton {steps}, {'1 term' if mark == '^' else '2 to 6 terms'}"
                ax.plot(*zip(*points, strict=True), mark, color=colour, markersize=4.5, label=text)
        points = [(cost(row), row[PERPLEXITY]) for row in front]
        ax.plot(
            *zip(*points, strict=True), "o", color=style.BLACK, fillstyle="none", markersize=9, label="Pareto front"
        )
        ax.axhline(rows[0][REFERENCE], color=style.BLACK, linewidth=0.8, linestyle="--", label="reference")
        ax.set(xlabel=label)
        ax.grid(axis="both")
    axes[0].set(ylabel="perplexity")
    for ax in axes[1:]:
        ax.sharey(axes[0])
        ax.tick_params(labelleft=False)
    legend_above(axes[0])

print(f"{len(front)} of {len(rows)} designs are on the front; those of them with 256 adders:")
for row in sorted((row for row in front if row["asic.adders"] == 256), key=lambda row: row[PERPLEXITY]):
    print(
        f"  {design(row):32s} perplexity {row[PERPLEXITY]:.4f}  {row[LATENCY] / 1e3:.2f} us  {row[ENERGY] / 1e6:.2f} uJ"
    )

# %% [markdown]
# ## Other numbers
#
# The hardware computes in BF16. What would FP8 weights do? Their rounding alone can be tried: each matrix is rounded to
# FP8 and back before the design gets it. Time and energy are those of BF16 still, so this says what is lost, not what
# is saved.

# %%
import dataclasses

import ml_dtypes

from pimsim.generation import accuracy
from pimsim.generation.texts import ids_of
from pimsim.values.weights.kept import Kept


class Rounded(Kept):
    """Tensors whose matrices are rounded to another kind of numbers."""

    def __init__(self, of, kind):
        super().__init__(of)
        self.kind = kind

    def read(self, name, part=None):
        values = super().read(name, part)
        return values.astype(self.kind).astype(np.float32) if values.ndim == 2 else values


KINDS = {"BF16": ml_dtypes.bfloat16, "FP8 E4M3": ml_dtypes.float8_e4m3fn, "FP8 E5M2": ml_dtypes.float8_e5m2}
formats = {}
for name in NAMES:
    ids = ids_of(MODELS / "text" / "chapter-29.txt", weights[name], None, 512)
    original = Reference(weights[name])
    for kind, dtype in KINDS.items():
        tried = dataclasses.replace(weights[name], tensors=Rounded(weights[name].tensors, dtype))
        formats[name, kind] = accuracy(HARDWARE, tried, ids, reference=original).measures
        print(f"{name} {kind:9s}{says(name, {}, tried)!r}")

with style.drawing():
    ax = style.axes_or_new(None, 2.8)
    for i, (name, colour) in enumerate(zip(NAMES, (style.GREEN, style.PURPLE), strict=True)):
        found = [100 * (m.perplexity / m.reference_perplexity - 1) for m in (formats[name, kind] for kind in KINDS)]
        bars = ax.bar([k + 0.4 * i - 0.2 for k in range(len(KINDS))], found, 0.36, color=colour, label=name)
        ax.bar_label(bars, [f"{value:.2f}" for value in found], fontsize=8, padding=2)
    ax.set(title="Weights, rounded", ylabel="perplexity above the reference, %", xticks=range(len(KINDS)))
    ax.set_xticklabels(KINDS)
    ax.axhline(0, color=style.BLACK, linewidth=0.8)
    ax.margins(y=0.2)
    ax.legend(loc="upper left")

# %% [markdown]
# ## Your own model
#
# `pimsim accuracy CONFIG --weights FOLDER --text FILE` gives the same figures of any model of these families,
# `pimsim generate` its tokens, command by command if asked. In a sweep or a search, `accuracy.perplexity` is an
# objective like any other (docs/sweeps.md).
