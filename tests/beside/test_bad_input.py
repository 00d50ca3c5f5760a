"""What `placement` cannot mean is told with its key, all at once, and nothing runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pimsim import InputError, load_config
from pimsim.api import prepare
from pimsim.generation.speaking import speaking
from tests.configs import config_of
from tests.conftest import SHIPPED

H100 = "gpu-h100"

WRONG: list[tuple[Mapping[str, Any], str, str]] = [
    ({"placement.linear": "gpu-h10"}, "placement.linear", "did you mean 'gpu-h100'?"),
    ({"placement.prefill": "atuo"}, "placement.prefill", "did you mean 'auto'?"),
    ({"placement.machine": "gpu-h10", "placement.linear": "auto"}, "placement.machine", "unknown machine"),
    ({"placement.attention": "auto"}, "placement.attention", "name one in placement.machine"),
    ({"placement.linear": H100, "placement.attention": "gpu-a100"}, "placement.attention", "another machine"),
    ({"placement.linear": H100, "placement.sub_batches": 3, "workload.batch": 8}, "placement.sub_batches", "2 does"),
    ({"placement.sub_batches": 2, "workload.batch": 2}, "placement.sub_batches", "no other machine"),
    ({"placement.linear": H100, "system.devices": 2, "system.tensor": 2}, "placement.linear", "one device"),
    ({"placement.linear": H100, "system.link.bandwidth_GBps": 0}, "system.link.bandwidth_GBps", "more than 0"),
    ({"placement.attention": "gpu-h999"}, "placement.attention", "unknown machine 'gpu-h999'"),
    ({"placement.linear": H100, "placement.attention": "gpu-a10"}, "placement.attention", "did you mean 'gpu-a100'?"),
    ({"placement.prefill": "gpu-a10", "placement.linear": H100}, "placement.prefill", "did you mean 'gpu-a100'?"),
]


@pytest.mark.parametrize(("changes", "key", "said"), WRONG)
def test_what_is_wrong_is_told_at_its_key(changes: Mapping[str, Any], key: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        config_of(changes)
    assert [problem.key for problem in error.value.problems] == [key]
    assert said in error.value.problems[0].message


def test_everything_that_is_wrong_is_told_at_once() -> None:
    changes: dict[str, Any] = {}
    for change, _, _ in (WRONG[4], WRONG[5], WRONG[7]):
        changes |= change
    with pytest.raises(InputError) as error:
        config_of(changes)
    keys = {problem.key for problem in error.value.problems}
    assert keys == {"placement.linear", "placement.attention", "placement.sub_batches"}


@pytest.mark.parametrize("steps", ["accepted", "templates"])
def test_a_schedule_runs_on_the_memory_alone(steps: str) -> None:
    traces = sorted((Path(__file__).parents[1] / "golden" / "schedules").glob("*.jsonl"))
    trace = next((path for path in traces if steps in path.name), traces[0])
    config = load_config(SHIPPED, {"workload.trace": str(trace), "placement.linear": H100, "baselines": []})
    with pytest.raises(InputError, match="runs on the memory alone") as error:
        prepare(config)
    assert error.value.problems[0].key == "placement.linear"


def test_no_tokens_are_computed_beside_a_machine() -> None:
    with pytest.raises(InputError, match="on the memory alone") as error:
        speaking(config_of({"placement.prefill": H100}), None, 1, 1)  # type: ignore[arg-type]
    assert error.value.problems[0].key == "placement.prefill"


def test_a_machine_may_be_a_file_beside_the_configuration(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "pimsim" / "baselines" / "gpu-h100.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("name: gpu-h100", "name: mine", 1), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(f"extends: {SHIPPED}\nplacement: {{linear: mine.yaml}}\n", encoding="utf-8")
    prepared = prepare(load_config(tmp_path / "c.yaml"))
    assert prepared.arranged is not None and prepared.arranged.device.name == "mine"


def test_one_file_may_be_written_in_two_ways(tmp_path: Path) -> None:
    parts = "{linear: ./mine.yaml, attention: more/../mine.yaml}"
    (tmp_path / "c.yaml").write_text(f"extends: {SHIPPED}\nplacement: {parts}\n", encoding="utf-8")
    assert load_config(tmp_path / "c.yaml").placement.linear == "./mine.yaml"  # type: ignore[union-attr]
    (tmp_path / "c.yaml").write_text(f"extends: {SHIPPED}\nplacement: {parts.replace('more/../', 'more/')}\n")
    with pytest.raises(InputError, match="another machine"):
        load_config(tmp_path / "c.yaml")


def test_a_file_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"extends: {SHIPPED}\nplacement:\n  linear: gone.yaml\n", encoding="utf-8")
    with pytest.raises(InputError, match="gone.yaml"):
        prepare(load_config(tmp_path / "c.yaml"))
