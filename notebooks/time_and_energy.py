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
# # Where the time and the energy go
#
# A token on PIM-GPT is a few hundred instructions and millions of DRAM commands. This notebook follows the clocks:
# by cause, by operator, by model size and by context.

# %%
# %config InlineBackend.figure_format = "retina"
import pimsim

config = pimsim.load_config("pim-gpt")

# %% [markdown]
# ## One token, by cause
#
# `mac` are the clocks in which the banks multiply. `activation` opens and closes rows. The rest feeds vectors in,
# takes results out, refreshes, and waits for the ASIC.

# %%
small = pimsim.run(config.with_({"workload.model": "gpt2-small", "workload.output_tokens": 64}))
small.plot.latency_breakdown()

# %%
small.plot.energy_breakdown()

# %% [markdown]
# ## By operator
#
# The feed-forward network holds two thirds of the weights, and takes most of the time. Appending one token's V costs
# more than its bytes suggest: V lies column by column, so each element goes to a row of its own.

# %%
records = small.records("operators")
total = sum(record["cycles"] for record in records)
for record in sorted(records, key=lambda record: -record["cycles"])[:8]:
    print(
        f"{record['operator']:13s} {100 * record['cycles'] / total:5.1f} % of the time, "
        f"{record['pin_bytes'] / max(record['count'], 1):9,.0f} bytes on the pins each"
    )

# %% [markdown]
# ## By model size
#
# The wider the model, the longer each row is used once it is open, and the smaller the share of everything else.

# %%
from pimsim.plots import style

MODELS = ("gpt2-small", "gpt2-medium", "gpt2-xl", "gpt3-xl")
shares = {}
for model in MODELS:
    run = pimsim.run(config.with_({"workload.model": model, "workload.output_tokens": 4, "baselines": ()}))
    parts = run.summary["system"]["latency_breakdown_ns"]
    whole = sum(parts.values())
    groups = {
        "MAC": ("mac",),
        "rows": ("activation", "refresh"),
        "pins": ("input_transfer", "result_transfer"),
        "K and V": ("write", "read"),
    }
    shares[model] = {name: 100 * sum(parts.get(c, 0) for c in causes) / whole for name, causes in groups.items()}
    shares[model]["ASIC"] = 100 - sum(shares[model].values())

with style.drawing():
    ax = style.axes_or_new(None)
    bottom = [0.0] * len(MODELS)
    colours = (style.BLUE, style.ORANGE, style.SKY, style.GREEN, style.VERMILION)
    for name, colour in zip(shares["gpt3-xl"], colours, strict=True):
        heights = [shares[model][name] for model in MODELS]
        ax.bar(MODELS, heights, 0.6, bottom=bottom, color=colour, label=name)
        bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
    ax.set_ylabel("share of the latency (%)")
    ax.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    ax.set_title("What a token waits for")

# %% [markdown]
# ## Overlap
#
# The paper's controller starts an instruction when everything is idle. A controller that starts what it can gains a
# few per cent: some of the ASIC's time is hidden, and little else was waiting.

# %%
for model in ("gpt2-small", "gpt3-xl"):
    times = {}
    for schedule in ("paper", "overlap"):
        keys = {"workload.model": model, "workload.output_tokens": 512, "schedule": schedule, "baselines": ()}
        times[schedule] = pimsim.run(config.with_(keys)).summary["system"]["latency_per_token_ns"]
    print(
        f"{model:11s} {times['paper'] / 1e3:8.1f} us per token, with overlap {times['overlap'] / 1e3:8.1f}, "
        f"{100 * (1 - times['overlap'] / times['paper']):.1f} % less"
    )
assert times["overlap"] <= times["paper"]
