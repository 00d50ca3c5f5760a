"""From Python to code, by numba: a function and all that it calls become one object.

numba by itself optimises and emits every function together with all that it calls: the bottom
of a chain of n calls n times.  No option of `njit` changes that: `inline` and `forceinline` only
say what is done as often.  Here a function stays as it is ("Part") until it is part of one that
Python calls ("Whole"), which is optimised once, for its target.  That takes internals of numba,
listed in INTERNALS; `tests/unit/test_kernel_compilation.py` holds every numba of the range to them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import CellType, FunctionType
from typing import Any

import numba
from numba.core import codegen, compiler, types

from pimsim.dram.code import views
from pimsim.dram.code.later import Later
from pimsim.dram.code.load import NAME, PLATFORM
from pimsim.dram.code.target import TARGETS

# What numba does to the kernel's functions: the passes that plain code on numbers needs.
PASSES = (
    "TranslateByteCode", "FixupArgs", "IRProcessing", "DeadBranchPrune", "ReconstructSSA", "NopythonTypeInference",
    "PreLowerStripPhis", "IRLegalization", "AnnotateTypes", "NativeLowering", "NoPythonBackend",
)  # fmt: skip
# The kernel allocates nothing and divides by nothing that can be 0, so the code for both is left
# out; so is what would let Python or C call a function.
OPTIONS = {"_nrt": False, "no_cfunc_wrapper": True, "no_cpython_wrapper": True, "error_model": "numpy"}


class _Library(codegen.AOTCodeLibrary):
    """Code that is not run here."""

    def get_pointer_to_function(self, name: str) -> int:
        """No address."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """Who has the environments: nobody."""
        return self

    def set_env(self, name: str, env: object) -> None:
        """No code, no environment."""


class Part(_Library):
    """The code of a function, to be linked; nothing of it is optimised by itself."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def finalize(self) -> None:
        """Done, as it is."""
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.linkage = "linkonce_odr"  # several may bring it along, and none has to keep it
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        return self._final_module


class Whole(_Library):
    """The code of a function and of all that it calls, optimised once."""

    def finalize(self) -> None:
        """Link, and optimise."""
        (entry,) = [each for each in self._final_module.functions if not each.is_declaration]
        entry.name = NAME
        self._linking_libraries = list(_reached(self))
        super().finalize()

    def _optimize_final_module(self) -> None:
        for each in [*self._final_module.functions, *self._final_module.global_variables]:
            if not each.is_declaration and each.name != NAME:
                each.linkage = "internal"
        super()._optimize_final_module()


def emit(function: Callable[..., int], kinds: str, target: str = PLATFORM) -> bytes:
    """The code of a function for arguments of these kinds (`frame`): an object with one function, `load.NAME`.

    numba.TypingError if it is none that can be compiled.
    """
    pipeline = _pipeline(Whole, TARGETS[target])
    outer = numba.njit(types.int64(types.int64), pipeline_class=pipeline, **OPTIONS)(called_by(function, kinds))
    (result,) = outer.overloads.values()
    code: bytes = result.library.emit_native_object()
    return code


def called_by(function: Callable[..., int], kinds: str) -> Callable[[int], int]:
    """What calls a function with the arguments, of these kinds, that lie at an address."""
    inner, arguments = part(function), views.arguments(kinds)

    def whole(address: int) -> int:
        found: int = inner(*arguments(address))
        return found

    return whole


def part(function: Callable[..., Any]) -> Any:
    """A function that only compiled functions call, as numba knows it."""
    return numba.njit(pipeline_class=_pipeline(Part), **OPTIONS)(_resolved(function))


def _resolved(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose globals and closure have what numba knows, in the place of what stands for it."""
    assert isinstance(function, FunctionType)
    used = {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}
    known = function.__globals__ | {name: _known(value) for name, value in used.items()}
    closure = tuple(CellType(_known(cell.cell_contents)) for cell in function.__closure__ or ())
    made = FunctionType(function.__code__, known, function.__name__, function.__defaults__, closure)
    made.__qualname__, made.__module__ = function.__qualname__, function.__module__
    return made


def _known(value: Any) -> Any:
    return value.compiled if isinstance(value, Later) else value


@cache
def _code_generator(processor: str) -> Any:
    """numba's, for a processor that LLVM knows by this name ("" is any), with code that may lie anywhere."""
    return codegen.AOTCPUCodegen("pimsim", processor)


@cache
def _pipeline(library: type[_Library], processor: str = "") -> type[Any]:
    """A compiler whose functions become such libraries."""

    class Compiler(compiler.Compiler):
        def define_pipelines(self) -> Any:
            """Those of numba, without the passes that are not needed."""
            pipelines = super().define_pipelines()
            self.state.library = library(_code_generator(processor), self.state.func_id.func_qualname)
            for pipeline in pipelines:
                pipeline.passes = [step for step in pipeline.passes if step[0].__name__ in PASSES]
            return pipelines

    return Compiler


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
