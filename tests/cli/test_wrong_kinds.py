"""A file given to the wrong command is told which is the right one, on one line."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.kinds import KINDS, kind_of

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "interchange" / "samples"
HF = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28}


def copy(source: Path) -> Callable[[Path], object]:
    return lambda path: shutil.copy(source, path)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


# Of each kind: a name, what writes such a file, and the command that is right for it.
FILES = {
    "configuration": ("c.yaml", copy(ROOT / "configs" / "pim-gpt.yaml"), "use `pimsim run c.yaml`"),
    "sweep": ("s.yaml", copy(ROOT / "configs" / "sweeps" / "channels.yaml"), "use `pimsim sweep s.yaml`"),
    "trace": ("t.jsonl", copy(ROOT / "traces" / "gpt2-small.jsonl"), "--set workload.trace=t.jsonl`"),
    "packed trace": (
        "t.jsonl.gz",
        lambda path: path.write_bytes(gzip.compress((ROOT / "traces" / "gpt2-small.jsonl").read_bytes())),
        "use `pimsim run CONFIG --set workload.trace=t.jsonl.gz`",
    ),
    "Hugging Face configuration": (
        "config.json", text(json.dumps(HF, indent=2)), "use `pimsim trace export --hf-config config.json --out"
    ),
    "log": ("l.csv", text("clk,channel,command,bank_group,bank,row,column\n"), "use `pimsim check l.csv --config"),
    "program": ("p.aim", text("# a program\n\nAiM SYNC\nAiM EOC\n"), "use `pimsim replay p.aim --config CONFIG`"),
    "summary": ("summary.json", text('{\n  "schema": "pimsim.summary/1"\n}\n'), "the config.resolved.yaml beside it"),
    "profile": ("x.json.gz", copy(SAMPLES / "gpt2-sdpa.et.json.gz"), "use `pimsim trace import x.json.gz"),
    "Kineto profile": ("k.json.gz", copy(SAMPLES / "gpt2-sdpa.kineto.json.gz"), "use `pimsim trace import k.json.gz"),
    "baseline": ("b.yaml", copy(ROOT / "pimsim" / "baselines" / "gpu-t4.yaml"), "`baselines: [b.yaml]`"),
    "weights": ("m.safetensors", lambda path: path.write_bytes(bytes(8) + b'{"a":{}}'), "--hf-config"),
}  # fmt: skip

# Of each kind that a command reads: the command, and the kinds that are right.
READERS = {
    "configuration": (["run", "{file}"], {"configuration"}),
    "validated configuration": (["config", "validate", "{file}"], {"configuration"}),
    "base": (["config", "validate", "extending.yaml"], {"configuration"}),
    "sweep": (["sweep", "{file}", "--workers=0"], {"sweep"}),
    "trace": (["trace", "validate", "{file}"], {"trace", "packed trace"}),
    "shown trace": (["trace", "show", "{file}"], {"trace", "packed trace"}),
    "workload.trace": (["config", "validate", "{config}", "--set=workload.trace={file}"], {"trace", "packed trace"}),
    "baseline": (["config", "validate", "{config}", "--set=baselines=[./{file}]"], {"baseline"}),
    "log": (["check", "{file}", "--config={config}"], {"log"}),
    "program": (["replay", "{file}", "--config={aim}"], {"program"}),
    "profile": (["trace", "import", "{file}", "--out=out.jsonl"], {"profile", "Kineto profile"}),
    "model": (["trace", "export", "--hf-config={file}", "--out=out.jsonl"], {"Hugging Face configuration"}),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_each_other_kind_is_named_with_its_command(
    reader: str, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, right = READERS[reader]
    if reader == "model":
        pytest.importorskip("transformers")
    for kind, (name, write, use) in FILES.items():
        if kind in right or (reader == "baseline" and not name.endswith(".yaml")):
            continue
        if reader == "log":  # the suffix says the format
            name, use = f"{name}.csv", use.replace(name, f"{name}.csv")
        write(Path(name))
        if name.endswith(".gz.csv"):
            continue
        Path("extending.yaml").write_text(f"extends: {name}\n")
        arguments = [part.format(file=name, config=shipped, aim=shipped.parent / "aim.yaml") for part in command]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 2, (kind, result.output, result.exception)
        (line,) = result.stderr.splitlines()
        assert " is " in line and ", not " in line and use in line.replace("./", ""), line


@pytest.mark.parametrize("kind", FILES)
def test_each_kind_is_recognised(kind: str, tmp_path: Path) -> None:
    name, write, _ = FILES[kind]
    write(tmp_path / name)
    assert kind_of(tmp_path / name) == {"packed trace": "trace", "Kineto profile": "profile"}.get(kind, kind)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("*.yaml")) + sorted((ROOT / "configs").glob("*/*.yaml"))
)
def test_what_is_shipped_is_what_its_folder_says(path: Path) -> None:
    kinds = {"sweeps": "sweep", "studies": "sweep", "tables": "table"}
    assert kind_of(path) == kinds.get(path.parent.name, "configuration")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\x1f\x8b", b"clk", b"\xff" * 100, b"a: 1\n", b"\x1f\x8b\x08" + bytes(50)]
)
def test_anything_else_is_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert kind_of(tmp_path / "x") is None
    assert kind_of(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (
            "config.resolved.yaml",
            "is a folder, the results of a run, not a configuration; its configuration is f/config.r",
        ),
        (
            "sweep.json",
            "is a folder, the results of a sweep, not a configuration; go on with it by `pimsim sweep SWEEP --o",
        ),
        (
            "config.json",
            "is a folder, a model of Hugging Face, not a configuration; use `pimsim trace export --hf-config f",
        ),
        ("nothing", "cannot be read: Is a directory"),
    ],
)
def test_folders_are_recognised(inside: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f").mkdir()
    Path("f", inside).write_text("{}")
    result = CliRunner().invoke(cli, ["run", "f"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"f:1:1: {said}") and len(result.stderr.splitlines()) == 1


def test_a_missing_trace_is_named(shipped: Path) -> None:
    result = CliRunner().invoke(cli, ["run", str(shipped), "--set", "workload.trace=no/such.jsonl"])
    assert result.exit_code == 2
    assert result.stderr == ("--set:1:1: workload.trace: cannot be read: No such file or directory: no/such.jsonl\n")


def test_every_kind_says_what_to_do() -> None:
    assert all(kind.name and kind.use for kind in KINDS.values())
