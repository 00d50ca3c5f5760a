"""The wheel on every Python that it is for and that is here: python .ci/try_pythons.py WHEEL FOLDER [PYTHON...]

For each, in an environment of its own in FOLDER: from `pip install WHEEL` to the first picture, timed; the size of what
was installed; then .ci/try_wheel.py, and tests that run from a folder without pimsim's source.

The versions are those of pyproject.toml's classifiers.  One that is not here is named, and no failure: a clone need not
stand on a machine that has them all.  A PYTHON, a program, that is asked for has to be there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSIONS = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if text.startswith("Programming Language")]
LARGEST = 450  # MB on disk that a plain installation adds, with the compiled Python that pip makes
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")

# What the tests need besides themselves, and some of each kind: what reads, counts, prices, writes, draws.
CLONE = ("tests", "configs", "traces", "examples")
TESTS = (
    "tests/unit/test_config_loader.py", "tests/unit/test_errors.py", "tests/unit/test_units.py",
    "tests/unit/test_results_files.py", "tests/unit/test_energy_model.py", "tests/cli/test_run.py",
    "tests/device_timings/test_gddr6_pim_gaps.py", "tests/report/test_report.py",
)  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """The environment of a Python, with the wheel."""

    name: str
    folder: Path

    def run(self, *command: str, where: Path | None = None) -> str:
        """What a program of the environment says; CalledProcessError."""
        program = str(self.folder / "bin" / command[0])
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [program, *command[1:]], cwd=where or self.folder, env=environment, check=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.stdout


def program_of(version: str) -> str:
    """The path of a Python that can make environments; "" if there is none."""
    return asked(f"python{version}", version) or (asked(sys.executable, version) if sys.executable else "")


def asked(program: str, version: str = "") -> str:
    """The path of a Python, of any version if none is given; "" if it is none."""
    question = "import ensurepip, sys, venv; print(sys.executable, *sys.version_info[:2])"
    try:  # the variable: where a program of that name asks which of several versions it is to be
        environment = os.environ | ({"PYENV_VERSION": version} if version else {})
        done = subprocess.run([program, "-c", question], env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    path, *numbers = done.stdout.rsplit(maxsplit=2)
    return path if version in ("", ".".join(numbers)) else ""


def install(wheel: Path, name: str, program: str, folder: Path) -> tuple[Tried, float, float]:
    """A fresh environment with the wheel, the seconds from `pip install` to the first picture, the MB that it added."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([program, "-m", "venv", str(folder)], check=True)
    tried, before, begin = Tried(name, folder), size_of(folder / "lib"), time.monotonic()
    tried.run("python", *PIP, str(wheel))
    tried.run("pimsim", "run", "pim-gpt", "--out", "results")
    if not list(folder.glob("results/*.png")):
        raise FileNotFoundError("a run leaves no picture")
    seconds = time.monotonic() - begin
    return tried, seconds, size_of(folder / "lib") - before


def size_of(folder: Path) -> float:
    """MB that the files of a folder take on disk."""
    return sum(file.lstat().st_blocks for file in folder.rglob("*")) * 512 / 2**20


def check(tried: Tried) -> str:
    """What the wheel does, and the tests; the last line that they say."""
    tried.run("python", str(ROOT / ".ci" / "try_wheel.py"), "base")
    clone = tried.folder / "clone"
    for name in CLONE:
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / "pyproject.toml", clone)
    extras = [requirement for name in ("pytest", "wave") for requirement in PROJECT["optional-dependencies"][name]]
    tried.run("python", *PIP, *extras)
    return tried.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, where=clone).splitlines()[-1]


def pythons(programs: Sequence[str]) -> dict[str, str]:
    """The paths of the Pythons that are asked for, or of those that the wheel is for; "" for one that is not here."""
    return {name: asked(name) for name in programs} or {version: program_of(version) for version in VERSIONS}


def main(wheel: str, folder: str, *programs: str) -> int:
    """Try each; the exit status."""
    found, ready, failed = pythons(programs), [], False
    for name, program in found.items():
        if not program:
            print(f"{name}: not on this machine", flush=True)
            failed |= name in programs
            continue
        place = Path(folder, Path(name).name).resolve()
        tried, seconds, size = install(Path(wheel).resolve(), name, program, place)
        print(f"{name}: {seconds:.0f} s from pip install to the first picture, {size:.0f} MB", flush=True)
        failed |= size > LARGEST  # the time is told, and no test: networks and neighbours differ
        ready.append(tried)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for tried, said in zip(ready, pool.map(check, ready), strict=True):
            print(f"{tried.name}: {said}", flush=True)
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.output}\n{' '.join(error.cmd)}: exit {error.returncode}")
