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
# # How far to trust it
#
# A simulator is trusted for what was checked, and no further. This notebook repeats some of the checks on the spot,
# and ends with what cannot be checked.

# %%
# %config InlineBackend.figure_format = "retina"
import pimsim

pim_gpt = pimsim.load_config("pim-gpt")

# %% [markdown]
# ## Every command obeys every timing rule
#
# The commands of a run go to a log. The checker knows only the log and the timing table; it shares no state with what
# simulated. Then one command is moved one clock ahead, and the checker must find it.

# %%
import tempfile
from pathlib import Path

from pimsim.devices.registry import device_of
from pimsim.logs.checker import check
from pimsim.logs.log import read_log

small = {"workload.model": "gpt2-small", "workload.output_tokens": 1, "baselines": ()}
config = pim_gpt.with_(small)
device = device_of(config)
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "log.csv"
    fast = pimsim.run(config, log=file)
    log = read_log(file, device.standard)
print(f"{len(log):,} commands, {len(check(log, device))} violations")

log.clk[1000] -= 1
print(f"one command a clock early: {len(check(log, device))} violations")
assert check(log, device)

# %% [markdown]
# ## Shortcuts change nothing
#
# The fast engine issues runs of equal commands at once and skips periods of loops. `stepped` issues each command.

# %%
stepped = pimsim.run(config.with_(engine={"mode": "stepped", "fold": False}))
assert stepped.summary["system"] == fast.summary["system"]
print(f"fast and stepped: the same {fast.summary['system']['cycles']:,} clocks, the same counts, the same energy")

# %% [markdown]
# ## Another simulator agrees
#
# On the tables of GDDR6-AiM the same engine repeats the open AiM simulator: 34 programs and 42 matrix-vector products
# to the cycle. These are some of the products, with the cycles that it took; the tests have all of them
# (`tests/golden/aim`).

# %%
from pimsim.devices.aim.replay import Machine

THEIRS = {  # rows, columns, channels: cycles
    (768, 768, 8): 1620,
    (768, 768, 32): 604,
    (3072, 768, 8): 6192,
    (3072, 768, 32): 1620,
    (768, 3072, 8): 5532,
    (768, 3072, 32): 2100,
    (1024, 1024, 8): 2416,
    (1024, 1024, 16): 1272,
}
machine = Machine(device_of(pimsim.load_config("aim-reference")))
for sizes, cycles in THEIRS.items():
    assert machine.gemv(*sizes).cycles == cycles
print(f"{len(THEIRS)} of {len(THEIRS)} matrix-vector products take the same cycles")

# %% [markdown]
# ## How well the inputs are known
#
# What is exact is the way from the inputs to the clocks. The inputs are another matter: every value says where it is
# from.

# %%
from collections import Counter

from pimsim import api
from pimsim.labels import LABELS
from pimsim.plots import style

origins = api.origins(pim_gpt)
labels = Counter(origin.label for origin in origins.values() if origin.label)
order = [label for label in (*LABELS, "default") if labels[label]]
with style.drawing():
    ax = style.axes_or_new(None)
    ax.barh(order, [labels[label] for label in order], color=style.BLUE)
    ax.invert_yaxis()
    ax.set_xlabel("values of configs/pim-gpt.yaml")
    ax.set_title("How the inputs are known")
print(", ".join(f"{labels[label]} {label}" for label in order))

# %% [markdown]
# ## What that does to a figure
#
# Each input that the paper does not give has a range with a reason. Here: GPT2-small's time per token with one input
# at a time at both ends. `pimsim reproduce pim-gpt` does the same for every published figure.

# %%
from pimsim.reproduce.data import ENDS, inputs
from pimsim.reproduce.runs import MIDDLES, Job
from pimsim.reproduce.values import evaluate_job

base = evaluate_job(Job("gpt2-small", (), MIDDLES)).values.token_ns
moved = {}
for name, entry in inputs().items():
    if entry.kind == "system":
        jobs = [Job("gpt2-small", tuple(entry.at(end).items()), MIDDLES) for end in ENDS]
        moved[name] = [evaluate_job(job).values.token_ns / base for job in jobs]
widest = sorted(moved, key=lambda name: -abs(moved[name][1] - moved[name][0]))[:10]
with style.drawing():
    ax = style.axes_or_new(None)
    for k, name in enumerate(widest):
        low, high = moved[name]
        ax.barh(k, 100 * (low - 1), color=style.SKY)
        ax.barh(k, 100 * (high - 1), color=style.ORANGE)
    ax.set_yticks(range(len(widest)), [inputs()[name].described for name in widest])
    ax.invert_yaxis()
    ax.axvline(0, color=style.BLACK, linewidth=0.8)
    ax.set_xlabel("change of the time per token (%); blue: low end, orange: high end")
    ax.set_title("What is not known, and what it moves")
print(
    f"{widest[0]} moves it most: {100 * (min(moved[widest[0]]) - 1):+.1f} to {100 * (max(moved[widest[0]]) - 1):+.1f} %"
)

# %% [markdown]
# ## What was not possible
#
# No figure here was compared with silicon, or with the simulator of the paper, which is not public. Where the paper's
# figures lie outside what the inputs allow, docs/reproduction.md says so, and which of them an input was chosen for.
