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
# # Exploring designs
#
# How many channels, and how wide a MAC unit? A sweep simulates every combination, and its rows are plain records.
# `pimsim.sweep` takes the content of a sweep file as a dict; from the command line the same is
# `pimsim sweep FILE.yaml --out DIR`, which a crash or Ctrl-C cannot lose (docs/sweeps.md).

# %%
# %config InlineBackend.figure_format = "retina"
import pimsim

base = pimsim.load_config("pim-gpt").with_({"workload.model": "gpt2-small", "baselines": []})

# %% [markdown]
# ## A grid
#
# Axes are configuration keys. A MAC unit with more lanes needs wider columns, so those two go together (`zip`).
# Constraints drop what makes no sense before anything is simulated.

# %%
from pimsim.plots import sweep as plots

SWEEP = {
    "name": "channels and lanes",
    "base": base,  # or the name of a shipped configuration, or a path
    "set": {"workload.output_tokens": 8},
    "axes": {
        "dram.channels": [2, 4, 8, 16, 32],
        "zip": {"pim.lanes": [16, 32, 64], "dram.column_bytes": [32, 64, 128]},
    },
    "constraints": ["dram.channels * pim.lanes <= 1024"],
    "objectives": ["system.latency_per_token_ns", "proxy.area_mm2"],
}
result = pimsim.sweep(SWEEP, workers=0)
rows = list(result.rows())
print(f"{len(rows)} points, {result.dropped} dropped by the constraint")
best = min(rows, key=lambda row: row["system.latency_per_token_ns"])
print(
    f"fastest: {best['dram.channels']} channels of {best['pim.lanes']} lanes, "
    f"{best['system.latency_per_token_ns'] / 1e3:.1f} us per token"
)

# %% [markdown]
# ## What the grid looks like
#
# Doubling the channels nearly halves the time. Doubling the lanes does less: opening rows takes as long as before.

# %%
plots.heatmap(rows, "dram.channels", "pim.lanes", "system.latency_per_token_ns")

# %% [markdown]
# ## What it costs
#
# `proxy.area_mm2` is a stated guess at the area (docs/sweeps.md), good for an order of points, not for a tape-out.
# The front has the points that no other beats in both.

# %%
plots.pareto(rows, "proxy.area_mm2", "system.latency_per_token_ns", label="dram.channels")

# %%
for row in result.pareto():
    print(
        f"{row['dram.channels']:3d} channels, {row['pim.lanes']:3d} lanes: "
        f"{row['system.latency_per_token_ns'] / 1e3:7.1f} us per token, {row['proxy.area_mm2']:8.0f} mm2 (proxy)"
    )

# %% [markdown]
# ## Does it scale?

# %%
plots.scaling(rows, "dram.channels", "system.latency_per_token_ns", group="pim.lanes")

# %% [markdown]
# ## Which input matters most?
#
# One at a time, each key goes to both ends of its range.

# %%
TORNADO = {
    "name": "one at a time",
    "base": base,
    "set": {"workload.output_tokens": 4},
    "axes": {
        "one_at_a_time": {
            "dram.timing.tRCDRD_ns": [10, 18],
            "dram.timing.tRFC_ns": [120, 560],
            "dram.io.data_rate_Gbps": [12, 20],
            "asic.taylor_terms": [3, 8],
            "asic.clock_GHz": [0.5, 2],
        }
    },
    "objectives": ["system.latency_per_token_ns"],
}
effects = pimsim.sweep(TORNADO, workers=0).sensitivity()
plots.tornado(effects)
