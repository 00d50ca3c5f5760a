"""The files of docs/extending.md, and a package of them that is installed without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
_BLOCK = re.compile(r"^```(?:yaml|python|toml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    """Each file of the page by its name."""
    found = {name: text.lstrip() for name, text in _BLOCK.findall(PAGE.read_text(encoding="utf-8"))}
    assert len(found) == 7
    return found


def write(folder: Path, *names: str) -> None:
    """Write files of the page."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files()[name], encoding="utf-8")


def toy() -> dict[str, str]:
    """The files of the package of the page."""
    return {name: text for name, text in files().items() if name.startswith("pimsim_toy/")}


def install(target: Path, sources: Mapping[str, str] | None = None, project: str = "") -> Path:
    """Install a package, by default that of the page, into a folder: a wheel as any tool makes it, by pip."""
    about = tomllib.loads(project or files()["pyproject.toml"])["project"]
    points = "".join(f"{key} = {value}\n" for key, value in about["entry-points"]["pimsim"].items())
    name, version = about["name"].replace("-", "_"), about["version"]
    info = f"{name}-{version}.dist-info"
    content = {
        **(toy() if sources is None else sources),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[pimsim]\n{points}",
    }
    target.mkdir(parents=True, exist_ok=True)
    wheel = target.parent / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        record = f"{info}/RECORD,,\n"
        for path, text in content.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text.encode())}\n"
        archive.writestr(f"{info}/RECORD", record)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
    subprocess.run([sys.executable, *pip, "--target", target, wheel], check=True, timeout=120)
    return target


def pimsim(folder: Path, *arguments: str, path: str | Path = "") -> subprocess.CompletedProcess[str]:
    """`pimsim arguments` in a process of its own, with the packages in the folder `path`."""
    return python(folder, "-m", "pimsim", *arguments, path=path)


def python(folder: Path, *arguments: str, path: str | Path = "") -> subprocess.CompletedProcess[str]:
    """A Python that knows this pimsim, and the packages in the folder `path`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), str(path))))}
    environment.pop("PIMSIM_DEBUG", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
