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
# # What helps a GPU, and what helps memory that computes
#
# A GPU that decodes is bound by reading weights: whatever lets one read serve several tokens helps it. A bank that
# multiplies reads its rows at the pace at which it multiplies: it is helped by what leaves work out. Each study
# here runs both, and says in one sentence what came out. No figure below is typed in.
#
#     MPLBACKEND=Agg .venv/bin/python notebooks/what_helps.py

# %%
# %config InlineBackend.figure_format = "retina"
import matplotlib.pyplot as plt

from pimsim.plots import style
from pimsim.reproduce.decoding.found import reproduce
from pimsim.reproduce.decoding.pictures import MECHANISMS, draw, pictures

found = reproduce(workers=1, intervals=False)
answers = {answer.study.name: answer for answer in found.answers}


def show(*names: str) -> None:
    """The answers of some studies, and their pictures side by side."""
    with style.drawing():
        _, axes = plt.subplots(1, len(names), figsize=(9, 3.8), layout="constrained")
        for name, ax in zip(names, axes, strict=True):
            print(answers[name].sentence)
            draw(answers[name], ax)


# %% [markdown]
# ## Several tokens in a step
#
# A step of the model checks several drafted tokens together. The weights are read once for all of them by a GPU, and
# multiplied with each of them in turn by a bank. So drafts pay on a GPU alone.

# %%
show("query", "speculation")

# %% [markdown]
# ## Sequences, experts, and the prefix of an image
#
# Several sequences are several tokens again. Where a router chooses among experts, more sequences also read more
# weights, and the GPU loses what it had gained. A prompt is many tokens at once for a GPU, and one after another for
# a bank, which is ahead as soon as enough is decoded, or enough of the prompt is left out.

# %%
show("batch", "prefix")

# %% [markdown]
# ## Work that is left out
#
# Heads that see sinks and the newest tokens alone, and layers that do not run.

# %%
show("retrieval", "layers")

# %% [markdown]
# ## Hypotheses, and states
#
# Beams are sequences. Superposed drafts are one: their embeddings are added up before the first layer. A state takes
# the place of K and V, and does not grow.

# %%
show("hypotheses", "states")

# %% [markdown]
# ## Every mechanism
#
# Times as fast as without, for each kept token; the commands are in `docs/decoding.md`.

# %%
for gain in found.gains:
    print(f"{gain.row.mechanism:<18}{gain.gains['pim-gpt']:>7.2f}{gain.gains['gpu-h100']:>8.2f}")
picture = pictures(found)[MECHANISMS]
with style.drawing():
    picture.draw(style.axes_or_new(None, picture.height_in()))

# %% [markdown]
# What amortises weights helps the GPU, what removes work helps memory that computes.
