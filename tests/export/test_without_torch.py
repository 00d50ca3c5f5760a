"""Without torch the committed exports are read, bound and replayed, and an export says what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from pimsim.errors import InputError
from pimsim.workload import export as package
from pimsim.workload.trace.bind import workload_of
from pimsim.workload.trace.reader import load_trace
from tests.configs import config_of
from tests.export.golden import FOLDER

GOLDEN = sorted(FOLDER.glob("*.jsonl"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_export_is_bound_whole(path: Path) -> None:
    trace = load_trace(path)
    workload = workload_of(trace)
    assert not trace.warnings
    assert workload.parameters == trace.header.model.parameters
    assert all(operator.aten for operator in workload.operators)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_export_is_replayed(path: Path) -> None:
    from pimsim import run

    overrides = {"workload.trace": str(path), "workload.lm_head": True, "dram.channels": 2}
    overrides |= {"workload.prompt_tokens": 6, "workload.output_tokens": 4}
    summary = run(config_of(overrides)).summary
    assert summary["workload"]["parameters"] == load_trace(path).header.model.parameters
    assert sum(summary["system"]["latency_breakdown_ns"].values()) == pytest.approx(summary["system"]["latency_ns"])


def test_export_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^--hf-config:1:1: .*pip install 'pimsim\[trace\]'$"):
        package.export("gpt2-small")
