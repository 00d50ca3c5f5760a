"""The questions: which runs each needs, what it is measured by, and what the answer says in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pimsim.reproduce.decoding.jobs import A100, H100, PIM, T4, Job, Point, plain, scheduled
from pimsim.workload.decoding.steps import Asked

GPT = "gpt3-xl"
MISTRAL, MIXTRAL = "mistral-7b", "mixtral-8x7b"
CONTEXT = 512
DRAFT = "gpt2-small"  # of the same vocabulary
NAMES = {PIM: "PIM-GPT", T4: "T4", A100: "A100", H100: "H100"}

Points = Mapping[str, Point]
Values = Mapping[str, float]


@dataclass(frozen=True)
class Measure:
    """One figure: a function of a study's runs; rough: what the prototype gave, None if it gave nothing."""

    name: str
    of: str
    unit: str
    rough: float | None
    value: Callable[[Points], float]


@dataclass(frozen=True)
class Study:
    """A question.  jobs: its runs by key; sentence: the answer, of the figures' values and the runs."""

    name: str
    title: str
    jobs: Mapping[str, Job]
    measures: tuple[Measure, ...]
    sentence: Callable[[Values, Points], str]


def crossing(xs: Sequence[float], ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Where `ours` gets above `theirs`, on a line between the runs around it; an end if it does so nowhere."""
    above = [a - b for a, b in zip(ours, theirs, strict=True)]
    for (x, y), (one, other) in zip(pairwise(xs), pairwise(above), strict=True):
        if (one <= 0) != (other <= 0):
            return x + (y - x) * one / (one - other)
    return xs[-1] if above[0] <= 0 else xs[0]


def even(keys: Sequence[int], of: str, machine: str, time: Callable[[Point, str], float]) -> Callable[[Points], float]:
    """The number at which PIM-GPT takes as long as another machine."""

    def value(points: Points) -> float:
        runs = [points[f"{of}{key}"] for key in keys]
        return crossing(keys, [time(run, PIM) for run in runs], [time(run, machine) for run in runs])

    return value


# ---- tokens that are verified at once

QUERIES = (1, 2, 4, 8, 12, 16, 24, 32)


def _query() -> Study:
    jobs = {f"Q{n}": plain(GPT, CONTEXT, n, query=n) for n in QUERIES}
    measures = tuple(
        Measure(f"break_even_q.{short}", f"tokens in a step at which a {NAMES[gpu]} is as fast", "tokens", rough,
                even(QUERIES, "Q", gpu, Point.step_ns))
        for short, gpu, rough in (("t4", T4, 10.0), ("a100", A100, None))
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        ours, theirs = (points["Q16"].step_ns(m) / points["Q1"].step_ns(m) for m in (PIM, H100))
        return (
            f"To check 16 tokens in one step takes PIM-GPT {ours:.1f} times as long as one token, and an H100 "
            f"{theirs:.2f} times. PIM-GPT pays for every token that is checked and then rejected. From a step of "
            f"{found['break_even_q.t4']:.0f} tokens on, a T4 at its roofline has caught up with it."
        )

    return Study("query", "Tokens verified at once", jobs, measures, sentence)


# ---- drafts

DRAFTS = (1, 2, 3)
KEEPS = {"published": "vllm-llama-3.1-8b", "all": "all"}


def _drafts() -> Study:
    asked = Asked(0, 24, 1, CONTEXT)
    jobs = {"none": plain(GPT, CONTEXT, 24)}
    jobs |= {
        f"{name} {n}": scheduled("speculative", GPT, asked, draft=DRAFT, drafts=n, acceptance=acceptance)
        for name, acceptance in KEEPS.items()
        for n in DRAFTS
    }

    def speedup(name: str, machine: str) -> Callable[[Points], float]:
        """The best over the numbers of drafts."""
        return lambda points: max(
            points["none"].token_ns(machine) / points[f"{name} {n}"].token_ns(machine) for n in DRAFTS
        )

    measures = tuple(
        Measure(f"speculation.{name}.{short}", f"speed with drafts of {DRAFT} on {NAMES[machine]}, kept: {name}", "x",
                None, speedup(name, machine))
        for name in KEEPS
        for short, machine in (("pim", PIM), ("h100", H100))
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        return (
            f"With drafts of {DRAFT}, kept as often as published, PIM-GPT is "
            f"{found['speculation.published.pim']:.2f} times as fast as without them, and an H100 "
            f"{found['speculation.published.h100']:.2f} times. Even if every draft were kept, PIM-GPT would be "
            f"{found['speculation.all.pim']:.2f} times as fast."
        )

    return Study("speculation", "Drafts of a small model", jobs, measures, sentence)


# ---- sequences, and experts

BATCHES = (1, 8, 12, 16, 24, 32)
BATCHES_OF_EXPERTS = (1, 16, 32, 40, 48)
BATCHED = {GPT: BATCHES, MISTRAL: BATCHES, MIXTRAL: BATCHES_OF_EXPERTS}


def _batch() -> Study:
    jobs = {f"{model} B{n}": plain(model, CONTEXT, 1, batch=n) for model, ns in BATCHED.items() for n in ns}
    measures = tuple(
        Measure(f"break_even_batch.{model}", f"sequences at which a T4 is as fast, {model}", "sequences", rough,
                even(BATCHED[model], f"{model} B", T4, Point.step_ns))
        for model, rough in ((GPT, 16.0), (MISTRAL, 11.0), (MIXTRAL, 40.0))
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        first, second, third = (f"{found[f'break_even_batch.{model}']:.0f} with {model}" for model in BATCHED)
        return (
            f"PIM-GPT is ahead of a T4's roofline up to this many sequences at once: {first}, {second} and {third}. A "
            "model of experts keeps it ahead for longer, since more sequences make the T4 read more of the experts."
        )

    return Study("batch", "Sequences at once, dense and with experts", jobs, measures, sentence)


# ---- the prefix of an image

PREFIX = 576
DECODED = (1, 16, 64, 128)
KEPT = {"all": 576, "64": 64}


def _prefix() -> Study:
    jobs = {
        f"{name} {n}": scheduled("drop-prefix", GPT, Asked(prompt=0, tokens=n), keep=keep, when="before")
        for name, keep in KEPT.items()
        for n in DECODED
    }

    def overtakes(name: str) -> Callable[[Points], float]:
        def value(points: Points) -> float:
            runs = [points[f"{name} {n}"] for n in DECODED]
            return crossing(DECODED, [run.costs[T4].all_ns for run in runs], [run.costs[PIM].all_ns for run in runs])

        return value

    measures = (
        Measure("prefix.pim_ms", "prefix of 576 tokens on PIM-GPT", "ms", 579.0,
                lambda points: points["all 1"].costs[PIM].prefill_ns / 1e6),
        Measure("prefix.t4_ms", "the same on a T4", "ms", 22.0,
                lambda points: points["all 1"].costs[T4].prefill_ns / 1e6),
        Measure("prefix.overtakes", "output tokens after which PIM-GPT is ahead", "tokens", 59.0, overtakes("all")),
        Measure("prefix.overtakes_64", "the same if 64 tokens of the prefix are kept", "tokens", 6.0, overtakes("64")),
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        return (
            f"A prefix of {PREFIX} tokens takes PIM-GPT {found['prefix.pim_ms']:.0f} ms and a T4 "
            f"{found['prefix.t4_ms']:.0f} ms. PIM-GPT has caught up after {found['prefix.overtakes']:.0f} output "
            f"tokens, or after {found['prefix.overtakes_64']:.0f} if only 64 tokens of the prefix are kept."
        )

    return Study("prefix", "A prefix of vision tokens", jobs, measures, sentence)


# ---- retrieval heads

CONTEXTS = (512, 4096, 8192, 32768)
POSITIONS = 65536  # the model's own end at 2,048


def _retrieval() -> Study:
    jobs = {
        f"{name} {context}": scheduled(
            "duo-attention", GPT, Asked(0, 2, 1, context), POSITIONS, streaming=share
        )
        for name, share in (("all", "0"), ("streaming", "0.75"))
        for context in CONTEXTS
    }  # fmt: skip

    def speedup(context: int) -> Callable[[Points], float]:
        return lambda points: points[f"all {context}"].step_ns(PIM) / points[f"streaming {context}"].step_ns(PIM)

    rough = (1.0, 1.3, 1.6, 2.5)
    measures = tuple(
        Measure(f"duo_attention.{context}", f"speed with 25 % retrieval heads at {context:,} tokens", "x", was,
                speedup(context))
        for context, was in zip(CONTEXTS, rough, strict=True)
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        theirs = points["all 32768"].step_ns(H100) / points["streaming 32768"].step_ns(H100)
        shown = ", ".join(f"{found[f'duo_attention.{context}']:.1f}" for context in CONTEXTS)
        return (
            f"If only a quarter of the heads attend to all tokens, PIM-GPT is {shown} times as fast at contexts of "
            f"512, 4,096, 8,192 and 32,768 tokens. At the last an H100 is {theirs:.1f} times as fast."
        )

    return Study("retrieval", "Retrieval heads and streaming heads", jobs, measures, sentence)


# ---- layers

SKIPPED = (0, 6, 12, 18)


def _layers() -> Study:
    without_head = (("workload.lm_head", False),)
    jobs = {
        f"skip {n}": scheduled("layer-skip", GPT, Asked(0, 4, 1, CONTEXT), skip=str(n)).changed(without_head)
        for n in SKIPPED
    }
    measures = (
        Measure("layers.half", "time left with half of the layers", "share", 0.5,
                lambda points: points["skip 12"].step_ns(PIM) / points["skip 0"].step_ns(PIM)),
        Measure("layers.quarter", "time left with a quarter of the layers", "share", 0.25,
                lambda points: points["skip 18"].step_ns(PIM) / points["skip 0"].step_ns(PIM)),
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        theirs = points["skip 12"].step_ns(H100) / points["skip 0"].step_ns(H100)
        return (
            f"With half of the layers PIM-GPT takes {found['layers.half']:.0%} of the time, and an H100 {theirs:.0%}. "
            f"With a quarter PIM-GPT takes {found['layers.quarter']:.0%}. Work that is left out helps both alike."
        )

    return Study("layers", "Layers that are left out", jobs, measures, sentence)


# ---- hypotheses

HYPOTHESES = (1, 2, 3, 4, 6, 8)


def _hypotheses() -> Study:
    asked = Asked(0, 16, 1, CONTEXT)
    jobs = {f"beams {n}": scheduled("beams", GPT, asked, hypotheses=n) for n in HYPOTHESES}
    jobs |= {f"superposed {n}": scheduled("superposed", GPT, asked, hypotheses=n) for n in HYPOTHESES}

    def ratio(machine: str) -> Callable[[Points], float]:
        return lambda points: points["beams 3"].step_ns(machine) / points["superposed 3"].step_ns(machine)

    measures = tuple(
        Measure(f"hypotheses.{short}", f"time of three beams over three superposed drafts on {NAMES[machine]}", "x",
                None, ratio(machine))
        for short, machine in (("pim", PIM), ("h100", H100))
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        return (
            f"Three beams take PIM-GPT {found['hypotheses.pim']:.1f} times as long as three superposed drafts, and an "
            f"H100 {found['hypotheses.h100']:.2f} times. A pass that serves several texts costs PIM-GPT no more than a "
            "pass for one."
        )

    return Study("hypotheses", "Beams and superposed drafts", jobs, measures, sentence)


# ---- states

STATE, ATTENTION = "mamba-130m", "gpt2-small"
STATE_CONTEXTS = (128, 512, 1024, 2048, 4096, 8192)


def _states() -> Study:
    jobs = {
        f"{model} {context}": scheduled("layer-skip", model, Asked(0, 2, 1, context), positions, skip="0")
        for model, positions in ((STATE, 0), (ATTENTION, POSITIONS))
        for context in STATE_CONTEXTS
    }

    def same(machine: str) -> Callable[[Points], float]:
        def value(points: Points) -> float:
            times = [
                [points[f"{model} {context}"].step_ns(machine) for context in STATE_CONTEXTS]
                for model in (ATTENTION, STATE)
            ]
            return crossing(STATE_CONTEXTS, *times)

        return value

    measures = tuple(
        Measure(f"states.{short}", f"context from which {STATE} is faster than {ATTENTION} on {NAMES[machine]}",
                "tokens", None, same(machine))
        for short, machine in (("pim", PIM), ("h100", H100))
    )  # fmt: skip

    def sentence(found: Values, points: Points) -> str:
        gains = [
            points[f"{ATTENTION} 8192"].step_ns(machine) / points[f"{STATE} 8192"].step_ns(machine)
            for machine in (PIM, H100)
        ]
        return (
            f"A state costs the same at every context, K and V do not. On PIM-GPT {STATE} is faster than {ATTENTION} "
            f"from {found['states.pim']:,.0f} tokens on, on an H100 from {found['states.h100']:,.0f} on. At 8,192 "
            f"tokens it is {gains[0]:.1f} times as fast on PIM-GPT, and {gains[1]:.1f} times on the H100."
        )

    return Study("states", "A state in the place of K and V", jobs, measures, sentence)


STUDIES: tuple[Study, ...] = (
    _query(),
    _drafts(),
    _batch(),
    _prefix(),
    _retrieval(),
    _layers(),
    _hypotheses(),
    _states(),
)
# Questions of the issue that no run answers yet.
LEFT_OUT = (
    "weights of two bits, and units with more lanes for them",
    "rows of a bank that are read once for several tokens",
)
