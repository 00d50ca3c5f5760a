"""How the kernel is compiled, or is not under NUMBA_DISABLE_JIT=1."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache, partial
from itertools import accumulate, pairwise
from math import prod
from typing import Any

from pimsim.dram.records import Record, named

COMPILES = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")

UNKEPT = "no folder for compiled code, so each run compiles it again; set NUMBA_CACHE_DIR to one that can be written to"

if COMPILES:
    from pimsim.dram.code.views import apart as apart
    from pimsim.dram.code.views import carve as carve
    from pimsim.dram.code.views import constant as constant
    from pimsim.dram.code.views import flat as flat
    from pimsim.dram.code.views import parts_of as parts_of
    from pimsim.dram.code.views import view as view
else:

    def view(array: Any) -> Any:
        """Interpreted, an array is its own view."""
        return array

    constant = view

    def parts_of(record: type[Record]) -> Any:
        """What gives the parts of a record by their names."""
        return partial(named, record)

    def carve(array: Any, first: int, shapes: tuple[tuple[int, ...], ...]) -> tuple[Any, ...]:
        """What lies one behind the other in a vector from `first` on: arrays of these shapes."""
        places = pairwise(accumulate(map(prod, shapes), initial=first))
        return tuple(array[start:stop].reshape(shape) for (start, stop), shape in zip(places, shapes, strict=True))

    def apart() -> None:
        """Interpreted, every function stays by itself."""

    def flat(array: Any) -> Any:
        """All of an array, one behind the other."""
        return array.reshape(-1)


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function that only compiled functions call."""
    return _compiled(function, no_cpython_wrapper=True, **_options("Part"))


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function that Python calls, with all that it calls: kept on disk (`code_cache`), if that can be."""
    compiled = _compiled(function, **_options("Whole"))
    if COMPILES:
        from pimsim.dram.code_cache import CodeCache

        try:
            # as `cache=True` does, which has its own cache, and no option for another
            compiled._cache = CodeCache(function)  # type: ignore[attr-defined]
        except RuntimeError:  # neither NUMBA_CACHE_DIR nor this folder nor the user's can be written to
            warnings.warn(UNKEPT, RuntimeWarning, stacklevel=1)  # once for all entries
    return compiled


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The kernel allocates nothing and divides by nothing that can be 0, so the code for both is left out.

    So is what would let C call a function.  Both are options that numba has but does not document.
    """
    if not COMPILES:
        return function
    import numba

    options |= {"_nrt": False, "no_cfunc_wrapper": True, "error_model": "numpy"}
    compiled: Callable[..., Any] = numba.njit(**options)(function)
    return compiled


# What numba does to the kernel's functions: the passes that plain code on numbers needs.
PASSES = (
    "TranslateByteCode", "FixupArgs", "IRProcessing", "DeadBranchPrune", "ReconstructSSA", "NopythonTypeInference",
    "PreLowerStripPhis", "IRLegalization", "AnnotateTypes", "NativeLowering", "NoPythonBackend",
)  # fmt: skip
# what the classes below have to find in numba's own
INTERNALS = (
    "_linking_libraries", "_final_module", "_finalized", "_ensure_finalized", "_get_module_for_linking",
    "_optimize_functions", "_codegen", "enable_object_caching",
)  # fmt: skip


@cache
def _options(library: str) -> dict[str, Any]:
    """Options by which a function stays as it is ("Part") until it is part of one that Python calls ("Whole").

    numba by itself optimises and emits every function together with all that it calls: the
    bottom of a chain of n calls n times, which is half the time of a first run.  No option of
    `njit` changes that: `inline` and `forceinline` only say what is done as often.  So these
    are internals of numba; where it has others the code is the same and a first run takes longer.
    """
    if not COMPILES:
        return {}
    from numba.core import codegen, compiler

    class Part(codegen.JITCodeLibrary):
        """The code of a function, to be linked; nothing of it is run or optimised by itself."""

        def _optimize_functions(self, module: Any) -> None:
            module.data_layout = self._codegen._data_layout

        def finalize(self) -> None:
            for function in self._final_module.functions:
                if not function.is_declaration:
                    function.linkage = "linkonce_odr"  # several may bring it along, and none has to keep it
            self._finalized = True

        def _get_module_for_linking(self) -> Any:
            return self._final_module

        def get_pointer_to_function(self, name: str) -> int:
            self._ensure_finalized()
            return 0

        @property
        def codegen(self) -> Part:
            return self

        def set_env(self, name: str, env: object) -> None:
            """No code, no environment."""

    class Whole(codegen.JITCodeLibrary):
        """The code of a function and of all that it calls, optimised once."""

        def finalize(self) -> None:
            self._linking_libraries = list(_reached(self))
            super().finalize()

    libraries: dict[str, Any] = {"Part": Part, "Whole": Whole}

    class Compiler(compiler.Compiler):
        def define_pipelines(self) -> Any:
            pipelines = super().define_pipelines()
            made = libraries[library](self.state.targetctx.codegen(), self.state.func_id.func_qualname)
            if self.state.library is None and all(hasattr(made, name) for name in INTERNALS):
                self.state.library = made
                made.enable_object_caching()  # as numba does for libraries that it makes
                for pipeline in pipelines:
                    pipeline.passes = [step for step in pipeline.passes if step[0].__name__ in PASSES]
            return pipelines

    return {"pipeline_class": Compiler}


def _reached(library: Any) -> dict[Any, None]:
    """The libraries that one links, those that they link, and so on; each once, in a fixed order."""
    found: dict[Any, None] = {}
    waiting = [library]
    while waiting:
        for linked in waiting.pop()._linking_libraries:
            if linked not in found:
                found[linked] = None
                waiting.append(linked)
    return found
