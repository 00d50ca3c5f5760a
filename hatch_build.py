"""What a wheel brings besides the source: the compiled code, if it is built where that can be made.

It is for the platform that the wheel is built on; on others the first run compiles, as it does
where a wheel brings none.  `make wheel` builds one that does.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INSIDE = "pimsim/dram/code/objects"


class CompiledCode(BuildHookInterface):
    """Compiles, with the libraries of the environment that builds: an isolated one has none of them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the compiled code to a wheel."""
        if self.target_name != "wheel" or version == "editable":
            return
        folder = Path(mkdtemp())
        program = Path(self.root, "tests", "compiled.py")
        done = subprocess.run([sys.executable, str(program), str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            self.app.display_warning(f"the wheel brings no compiled code: {done.stderr.splitlines()[-1:]}")
            return
        build_data["force_include"] |= {str(path): f"{INSIDE}/{path.name}" for path in sorted(folder.iterdir())}
