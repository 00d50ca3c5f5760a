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
# # Your own Hugging Face model
#
# pimsim replays operator traces. A trace is a few KB: the operators of one step, their sizes as functions of the
# context, and a schedule. It is made once, from a model's `config.json`, without its weights and without a network.

# %%
# %config InlineBackend.figure_format = "retina"
import pimsim

pim_gpt = pimsim.load_config("pim-gpt")

# %% [markdown]
# ## Export
#
# With `pip install 'pimsim[trace]'` (torch and transformers), any decoder-only model that transformers knows and whose
# attention pimsim can follow:
#
#     pimsim trace export --hf-config path/to/config.json --out mine.jsonl
#
# Without torch, the models of the GPT and Llama families that pimsim knows by name give the same file:

# %%
import tempfile
from pathlib import Path

from pimsim.workload.trace.generate import generated
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import dump_trace

folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "qwen2.5-0.5b.jsonl"
text = dump_trace(generated("qwen2.5-0.5b"))
file.write_text(text, encoding="utf-8")
print(*(line[:110] + ("..." if len(line) > 110 else "") for line in text.splitlines()[:6]), sep="\n")

# %% [markdown]
# ## Look at it
#
# `pimsim trace show` prints the operators by role; here the same from Python.

# %%
trace = load_trace(file)
model = trace.header.model
print(f"{model.name}: {model.layers} layers, d_model {model.d_model}, {model.heads} heads, {model.kv_heads} of K and V")
for op in trace.templates[0].ops:
    if op.scope == "block":
        print(f"  {op.id:15s} {op.op}")

# %% [markdown]
# ## Run it
#
# A trace takes the place of a model's name: a file, or the name of a shipped one. Grouped-query attention, RMSNorm,
# RoPE and the gated feed-forward network are mapped by the same rules as GPT's operators (docs/replay.md).

# %%
config = pim_gpt.with_({"workload.trace": str(file), "workload.output_tokens": 16})
result = pimsim.run(config)
system = result.summary["system"]
print(f"{system['latency_per_token_ns'] / 1e3:.0f} us per token, {100 * system['row_hit_rate']:.1f} % row hits")
result.plot.latency_breakdown()

# %% [markdown]
# ## Against a GPU
#
# The T4 baseline counts the launches that the trace recorded, so an eager T4 is bound by its host here; at its
# roofline it is far closer. `gpu-t4-fused` is another host with fused attention, measured on this very model.

# %%
result.plot.roofline()

# %%
whole = pimsim.run(config.with_({"baselines": ["gpu-t4", "gpu-t4-fused"], "workload.lm_head": True}))
for name, baseline in whole.summary["baselines"].items():
    print(
        f"{name:13s} {baseline['latency_ns'] / 16 / 1e6:6.1f} ms per token eager, "
        f"{baseline['roofline']['latency_ns'] / 16 / 1e6:6.2f} at its roofline"
    )

# %% [markdown]
# ## What does not fit says so
#
# Mistral-7B needs 14 GB; the shipped device has 4. Nothing is simulated, and the message says by how much it misses.

# %%
mistral = pim_gpt.with_({"workload.model": "mistral-7b", "workload.output_tokens": 4})
try:
    pimsim.run(mistral)
except pimsim.InputError as error:
    print(error.problems[0].message)

# %%
large = pimsim.run(mistral.with_({"dram.rows": 65536, "dram.channels": 16, "baselines": ()})).summary["system"]
print(f"mistral-7b on 16 channels: {large['latency_per_token_ns'] / 1e6:.2f} ms per token")
