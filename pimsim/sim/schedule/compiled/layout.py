"""What stands where in the vectors that the compiled schedule works on; all are int64."""

# An instruction of a block: what it is (REST: I_CLOCKS is the clock until which the channels
# rest); the clocks for which it needs the ASIC's units, read port and write port.  If it
# streams: clocks that are left after the last result (else -1); from which moment of a
# program on (T_PARTIAL, T_COMPLETE); equal parts in which a program's results come; portions
# of a part; where the programs that feed it start in `feeds`, and how many there are.  Last,
# what it spends beside its commands (see the meter), and which program it is of those of the block, at which
# bases of those of the block, and how far behind them; and which part does what is no program: the units of the ASIC,
# or what is outside of the device.
(
    I_KIND, I_CLOCKS, I_READ, I_WRITE, I_TAIL, I_FROM, I_PARTS, I_PORTIONS, I_FEED, I_FEEDS, I_SPENDS,
    I_PROGRAM, I_BASES, I_SHIFT, I_WHERE, INSTRUCTION_WIDTH,
) = range(16)  # fmt: skip
ARITHMETIC, WORK, REST = range(3)
# where a run stands: clocks; the step of a block, the part of it and the copy of that which come
# next; C_TAKEN: stretches in the calendar of each part
(C_ACCOUNTED, C_SERIAL, C_STEP, C_PART, C_COPY, C_TAKEN) = range(6)
# a part of a step: its first instruction, the one after its last, its copies, and the instruction before whose end, as
# it was last carried out, no later copy does anything
(A_FIRST, A_LAST, A_COPIES, A_FLOOR) = range(4)
# what a call carries out: up to which step, part and copy; of these the instructions from P_FIRST
# to before P_LAST; and the places that a calendar needs for each copy
(P_STEPS, P_PARTS, P_COPIES, P_FIRST, P_LAST, P_PLACES) = range(6)
# what an instruction exposes: clocks outside of the channels, and the first step that has any (-1: none has)
(E_CLOCKS, E_SINCE, EXPOSED) = range(3)
# parts that have a calendar each: three of the ASIC, then those outside of the device (`Instruction.place`)
UNITS, READ_PORT, WRITE_PORT, LINK, MACHINE, PARTS = range(6)
ASIC_PARTS = LINK
