"""`pimsim.devices()` and `pimsim.sweep({...})`: packages that are called, whoever imports what first."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import pytest

CALLS = {
    "devices": "assert pimsim.devices()['aim'].multiplies == 'bf16 x bf16'",
    "sweep": "import inspect; assert 'workers' in inspect.signature(pimsim.sweep).parameters",
}
IMPORTS = {
    "devices": "from pimsim.devices.registry import HARDWARE; assert 'aim' in HARDWARE",
    "sweep": "from pimsim.sweep import evaluate_point, run; assert callable(run)",
}
PACKAGES = {
    "devices": "import pimsim.devices; import pimsim.devices.registry; assert pimsim.devices.registry.HARDWARE",
    "sweep": "import pimsim.sweep; assert pimsim.sweep.run.__name__ == 'run'",
}


def fresh(code: str) -> None:
    """Run code in a process of its own."""
    done = subprocess.run([sys.executable, "-c", f"import pimsim\n{code}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("order", list(permutations(("call", "import", "package"))))
def test_every_order_works(name: str, order: tuple[str, ...]) -> None:
    steps = {"call": CALLS[name], "import": IMPORTS[name], "package": PACKAGES[name]}
    fresh("\n".join([*(steps[step] for step in order), CALLS[name]]))


def test_both_are_names_of_the_package_and_callable() -> None:
    fresh(
        "from pimsim import devices, sweep\nassert callable(devices) and callable(sweep)\nassert 'sweep' in dir(pimsim)"
    )


def test_the_name_of_a_function_means_that_function_only_when_it_is_called() -> None:
    """Importing a package that is called loads nothing of what a call needs."""
    fresh(
        "import sys, pimsim.devices\n"
        "assert 'pimsim.catalogue' not in sys.modules\n"
        "pimsim.devices()\n"
        "assert 'pimsim.catalogue' in sys.modules"
    )


def test_what_is_no_name_is_still_an_attribute_error() -> None:
    fresh(
        "for name in ('sweeps', 'device'):\n"
        "    try: getattr(pimsim, name)\n"
        "    except AttributeError as error: assert name in str(error)\n"
        "    else: raise SystemExit(1)"
    )
