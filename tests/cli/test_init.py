"""`pimsim init`: every file that it writes is run, and it writes all of them or none."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import pimsim as package
from pimsim import files
from pimsim.cli.init import EXAMPLES
from pimsim.config.json_schema import json_schema
from pimsim.errors import InputError
from pimsim.kinds import CONFIGURATION, SWEEP, TRACE, kind_of
from tests.cli.conftest import Pimsim

ROOT = Path(__file__).parents[2]
examples = pytest.mark.parametrize("example", EXAMPLES)


def started(pimsim: Pimsim, example: str) -> str:
    done = pimsim("init", "start", "--example", example)
    assert done.exit_code == 0 and not done.stderr, done.output
    return done.stdout


def test_a_folder_with_the_name_of_an_example_is_told_how_to_ask_for_it(pimsim: Pimsim) -> None:
    hint = "these are the basics; --example own-model writes the example of that name"
    assert hint in pimsim("init", "own-model").output
    assert hint not in pimsim("init", "b/own-model", "--example", "basics").output
    assert hint not in pimsim("init", "c/own-model", "--example", "own-model").output


def kinds() -> dict[str, list[str]]:
    """The files of the folder `start` by their kinds."""
    found: dict[str, list[str]] = {}
    for file in sorted(Path("start").iterdir()):
        kind = kind_of(file) or file.suffix
        found.setdefault(kind, []).append(file.name)
    return found


@examples
def test_an_example_has_configurations_a_sweep_a_trace_and_a_notebook(pimsim: Pimsim, example: str) -> None:
    said = started(pimsim, example)
    found = kinds()
    assert found[CONFIGURATION] and found[SWEEP] and found[TRACE] and found[".ipynb"] and found[".md"] == ["README.md"]
    written = re.findall(r"^  - (.*)$", said, re.MULTILINE)
    assert sorted(written) == sorted(os.listdir("start"))
    assert max(map(len, said.splitlines())) <= 80
    assert not os.path.exists("start/results")


@examples
def test_what_it_says_comes_next_is_true(pimsim: Pimsim, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = started(pimsim, example)
    folder, *commands = said.partition("next:\n")[2].splitlines()
    assert folder == "  cd start"
    monkeypatch.chdir("start")
    given = set(os.listdir())
    assert len(commands) >= 5 and any("pimsim sweep" in command for command in commands)
    for command in commands:
        done = pimsim(*shlex.split(command)[1:])
        assert done.exit_code == 0 and not done.stderr.count("error"), (command, done.output)
    unused = {name for name in given if not any(name in command for command in commands)}
    assert {Path(name).suffix for name in unused} <= {".md", ".ipynb", ".yaml", ".jsonl"}
    for name in unused - {"README.md"}:  # it is read by another file, say the table of a memory
        assert any(name in Path(other).read_text() for other in given - {name})


@examples
def test_every_file_is_as_its_reader_wants_it(pimsim: Pimsim, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started(pimsim, example)
    found = kinds()
    monkeypatch.chdir("start")
    for config in found[CONFIGURATION]:
        assert pimsim("config", "validate", config).stdout == f"{config}: valid\n"
        assert pimsim("run", config).stderr == ""  # not even a warning
    assert pimsim("trace", "validate", *found[TRACE]).exit_code == 0
    for sweep in found[SWEEP]:
        swept = json.loads(pimsim("sweep", sweep, "--workers", "0", "--out", "swept", "--json").stdout)
        assert swept["statuses"]["ok"] == swept["points"] >= 4, swept


@examples
def test_the_notebook_runs_in_jupyter(pimsim: Pimsim, example: str) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    started(pimsim, example)
    (name,) = kinds()[".ipynb"]
    notebook = nbformat.read(Path("start", name), as_version=4)
    assert not any(cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": "start"}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("us per token" in output.get("text", "") for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"]


def test_gx6_is_that_of_the_page() -> None:
    page = (ROOT / "docs" / "your-own-device.md").read_text(encoding="utf-8")
    for name in ("gx6-table.yaml", "gx6.yaml"):
        (block,) = re.findall(rf"^```yaml\n# {name}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        assert (ROOT / "examples" / "own-device" / name).read_text(encoding="utf-8") == block


def test_the_trace_of_a_config_json_is_up_to_date(pimsim: Pimsim, monkeypatch: pytest.MonkeyPatch) -> None:
    started(pimsim, "own-model")
    os.rename("start", "chat")  # a model without a name has that of its folder
    sizes = ("--prompt", "16", "--steps", "16")
    pimsim("trace", "export", "--hf-config", "chat/config.json", "--out", "made.jsonl", *sizes)
    assert Path("made.jsonl").read_bytes() == Path("chat/chat.jsonl").read_bytes()


def test_every_key_of_the_examples_is_one_of_the_schema() -> None:
    package.load_config(ROOT / "examples" / "own-device" / "gx6.yaml")  # its table has a key of its own
    known = json.dumps(json_schema({}))
    for file in ROOT.glob("examples/*/*.yaml"):
        for key in re.findall(r"^ +(\w+):", file.read_text(encoding="utf-8"), re.MULTILINE):
            assert f'"{key}"' in known or file.stem == "gx6-table", (file, key)


# -- where it writes ---------------------------------------------------------------------


def test_without_a_folder_it_writes_into_the_one_that_one_is_in(pimsim: Pimsim) -> None:
    said = pimsim("init").stdout
    assert "cd " not in said and Path("narrow.yaml").is_file() and said.startswith("written to .:\n")


def test_it_works_from_any_folder_into_any(tmp_path: Path) -> None:
    """Also in a folder with a name that a shell would take apart."""
    folder = tmp_path / "a b" / "c"
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    command = [sys.executable, "-m", "pimsim", "init", str(folder)]
    done = subprocess.run(command, cwd="/", env=environment, check=True, capture_output=True, text=True)
    assert f"\n  cd '{folder}'\n" in done.stdout and (folder / "README.md").is_file()


def test_it_overwrites_nothing_and_then_writes_nothing(pimsim: Pimsim) -> None:
    Path("wide.yaml").write_text("mine")
    Path("README.md").symlink_to("nowhere")
    Path("first_look.ipynb").mkdir()
    refused = pimsim("init")
    taken = ("README.md", "first_look.ipynb", "wide.yaml")
    lines = [f"./{name}:1:1: is there already, and nothing is overwritten" for name in taken]
    assert (refused.exit_code, refused.stderr.splitlines(), refused.stdout) == (2, lines, "")
    assert sorted(os.listdir()) == sorted(taken) and Path("wide.yaml").read_text() == "mine"


def test_other_files_are_not_in_the_way(pimsim: Pimsim) -> None:
    Path("mine.yaml").write_text("mine")
    assert pimsim("init").exit_code == 0 and Path("mine.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("taken",), "DIR:1:1: DIR: directory 'taken' is a file"),
        (("",), "DIR:1:1: DIR: needs the name of a folder, but it is empty"),
        (("taken/in",), "taken/in:1:1: cannot be written: Not a directory"),
        (("--example", "own-modle"), "--example:1:1: example: 'own-modle' is not one of 'basics', 'own-model', "
         "'own-device'; did you mean 'own-model'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(pimsim: Pimsim, arguments: tuple[str, ...], said: str) -> None:
    Path("taken").write_text("mine")
    refused = pimsim("init", *arguments)
    assert (refused.exit_code, refused.stderr, refused.stdout) == (2, f"{said}\n", "")
    assert os.listdir() == ["taken"] and Path("taken").read_text() == "mine"


# -- all or none -------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_after_an_error_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("mine")
    write = files.write_bytes

    def breaks(path: files.Named, data: bytes) -> None:
        if os.fspath(path).endswith("b"):
            raise error
        write(path, data)

    monkeypatch.setattr(files, "write_bytes", breaks)
    for folder in ("there", "not/there/yet"):
        with pytest.raises(InputError if isinstance(error, OSError) else KeyboardInterrupt, match="No space|"):
            files.write_new(tmp_path / folder, {"a": b"1", "b": b"2", "c": b"3"})
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "there", tmp_path / "there" / "mine"]


def test_a_folder_that_cannot_be_written_to_is_named(pimsim: Pimsim) -> None:
    if os.access("/proc", os.W_OK) or not os.path.isdir("/proc/self"):
        refused = pimsim("init", "/proc/pimsim")  # also root is refused
        assert refused.exit_code == 2 and refused.stderr.startswith("/proc/pimsim:1:1: cannot be written: ")
