"""From bytes of code to a function of this process."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pimsim.dram.code import elf

NAME = "pimsim_entry"  # of the function in every object
Code = Callable[[int], int]  # the address of a frame -> what the function returns

OUTSIDE = ("memset", "memcpy", "memmove")  # compilers call these where they are not asked to
_PROTOTYPE = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_void_p), ctypes.c_int64
)
_kept: list[Any] = []  # what lies in memory for as long as the process lives

PLATFORM = f"{sys.platform}-{platform.machine().lower()}"


def load(code: bytes) -> Code:
    """The function of an object."""
    if PLATFORM == "linux-x86_64":
        try:
            return _function(by_elf(code))
        except elf.UnsupportedError:
            pass  # LLVM may do it
    return _function(by_llvm(code))


def by_elf(code: bytes) -> int:
    """The address of the function; elf.UnsupportedError."""
    library = ctypes.CDLL(None)
    outside = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in OUTSIDE}
    image, address = elf.load(code, NAME, outside)
    _kept.append(image)
    return address


def by_llvm(code: bytes) -> int:
    """The address of the function, by llvmlite alone: 50 ms and 60 MiB more, on every platform that it has."""
    import llvmlite.binding as llvm

    with suppress(RuntimeError):  # newer ones do without
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(module, llvm.Target.from_default_triple().create_target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _kept.append(engine)
    address: int = engine.get_function_address(NAME)
    return address


def _function(address: int) -> Code:
    function = _PROTOTYPE(address)
    value, error = ctypes.c_int64(), ctypes.c_void_p()
    result, trouble = ctypes.byref(value), ctypes.byref(error)

    def call(frame: int) -> int:
        assert function(result, trouble, frame) == 0  # it raises nothing
        return value.value

    return call
