"""What an installation brings besides the source: the script that pages carry, and compiled code.

The compiled code is in a wheel, if it is built where that can be made, for the platform that it is built on; on
others the first run compiles, as it does where a wheel brings none.  `make wheel` builds one that does.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OBJECTS = "pimsim/dram/code/objects"
SCRIPT = "pimsim/report/script.py"


class Made(BuildHookInterface):
    """Packs the script of the plotly that builds; compiles, with the libraries of the environment that builds.

    An isolated environment has none of these libraries, and so makes no code.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add to a wheel what is made; what an editable one brings lies in the clone."""
        if self.target_name != "wheel":
            return
        script = runpy.run_path(str(Path(self.root, SCRIPT)))
        packed, place = script["packed"](script["installed"]()), script["BUILT"]
        if version == "editable":
            place.write_text(packed, encoding="ascii")
            return
        folder = Path(mkdtemp())
        (folder / place.name).write_text(packed, encoding="ascii")
        inside = {str(folder / place.name): place.relative_to(self.root).as_posix()}
        build_data["force_include"] |= inside | self._code(folder / "objects")

    def _code(self, folder: Path) -> dict[str, str]:
        """The files with compiled code, made in a folder, and where they go; none if they cannot be made."""
        folder.mkdir()
        program = Path(self.root, "tests", "compiled.py")
        done = subprocess.run([sys.executable, str(program), str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            self.app.display_warning(f"the wheel brings no compiled code: {done.stderr.splitlines()[-1:]}")
            return {}
        return {str(path): f"{OBJECTS}/{path.name}" for path in sorted(folder.iterdir())}
