"""The front-end and the reader of programs, compiled: many instructions, or lines, in one call.

Their readable twins are `frontend` (the host, on channels in plain Python) and `isa.parse`.

    layout   what stands where in the arrays
    lines    lines of text to instructions
    queues   the channels of an instruction, and the queues in front of them
    host     one instruction after the other
"""
