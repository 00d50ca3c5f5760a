"""Machine code of the functions that are compiled: made once by numba, then loaded without it.

later   what only compiled code uses, until it is compiled
frame   the arguments of a call as compiled code reads them
entry   a function that Python calls: which code it has, and the call
store   the code on disk
target  what code is made for: any processor of a platform, or wider ones too
load    from bytes of code to a function of this process
elf     the same, without a library, where code is ELF for x86-64
emit    from Python to code, by numba
views   arrays inside of compiled code
floats  numbers of float32 and BF16 there

What is kept is a relocatable object, as a C compiler writes it, that needs nothing of numba or
Python.  A process that finds it imports neither numba nor LLVM: they are half a second and 120 MiB,
more than most runs take.
"""
