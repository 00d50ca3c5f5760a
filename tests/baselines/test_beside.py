"""An A100 and an H100 stand beside a T4 in reports, and change nothing else."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

import pimsim
from pimsim.baselines.devices import parse_device
from pimsim.errors import InputError
from pimsim.report import run_html
from tests.conftest import SHIPPED


def result(*names: str) -> pimsim.Result:
    return pimsim.run(pimsim.load_config(SHIPPED, {"workload.output_tokens": 3, "baselines": list(names)}))


def rows(page: str) -> list[tuple[str, str]]:
    """Machine and model of each row of the comparison."""
    table = page.split("<h2>Compared with</h2>")[1].split("</table>")[0]
    cells = re.findall(r"<tr><td[^>]*>(.*?)</td><td>(.*?)</td>", table)  # that of the system itself has a class
    return [(re.sub(r"<[^>]*>", "", machine).strip(), model) for machine, model in cells]


def test_they_are_what_a_run_with_them_has() -> None:
    asked = result("gpu-t4", "gpu-a100", "gpu-h100").summary["baselines"]
    beside = result("gpu-t4").beside
    assert list(beside) == ["gpu-a100", "gpu-h100"]
    assert beside == {name: asked[name] for name in beside}


def test_a_report_has_them_with_what_one_launch_a_step_makes_of_them() -> None:
    assert rows(run_html(result("gpu-t4"))) == [
        *(("gpu-t4", model) for model in ("roofline", "eager")),
        *(("gpu-a100 (for comparison)", model) for model in ("roofline", "compiled", "eager")),
        *(("gpu-h100 (for comparison)", model) for model in ("roofline", "compiled", "eager")),
    ]


def test_one_that_is_compared_with_anyway_is_there_once() -> None:
    found = [name for name, _ in rows(run_html(result("gpu-h100", "gpu-t4")))]
    assert found.count("gpu-h100") == 2 and "gpu-h100 (for comparison)" not in found
    assert found.count("gpu-a100 (for comparison)") == 3


@pytest.mark.parametrize("names", [(), ("cpu-xeon-6154",)])
def test_without_a_t4_there_are_none(names: tuple[str, ...]) -> None:
    found = result(*names)
    assert not found.beside and "beside it" not in run_html(found)


def test_the_summary_has_those_alone_that_are_asked_for() -> None:
    assert list(result("gpu-t4").summary["baselines"]) == ["gpu-t4"]


def test_a_file_may_name_its_own() -> None:
    text = files("pimsim.baselines").joinpath("gpu-l4.yaml").read_text(encoding="utf-8")
    named = text.replace("name: gpu-l4", "name: mine\nbeside: [gpu-h200x2]")
    assert parse_device(named, "mine.yaml").beside == ("gpu-h200x2",)
    with pytest.raises(InputError, match="beside.0: unknown baseline 'gpu-h20'; did you mean 'gpu-h200'?"):
        parse_device(named.replace("gpu-h200x2", "gpu-h20"), "mine.yaml")
