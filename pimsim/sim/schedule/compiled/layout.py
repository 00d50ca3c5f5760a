"""What stands where in the vectors that the compiled schedule works on; all are int64."""

# An instruction of a block: what it is (REST: I_CLOCKS is the clock until which the channels
# rest); the clocks for which it needs the ASIC's units, read port and write port.  If it
# streams: clocks that are left after the last result (else -1); from which moment of a
# program on (T_PARTIAL, T_COMPLETE); equal parts in which a program's results come; portions
# of a part; where the programs that feed it start in `feeds`, and how many there are.  Last,
# what it spends beside its commands (see the meter).
(
    I_KIND, I_CLOCKS, I_READ, I_WRITE, I_TAIL, I_FROM, I_PARTS, I_PORTIONS, I_FEED, I_FEEDS, I_SPENDS,
) = range(11)  # fmt: skip
ARITHMETIC, WORK, REST = range(3)
# the clocks of a block; C_COPY: the next copy; C_TAKEN: stretches in the calendar of each part
# of the ASIC
(C_ACCOUNTED, C_SERIAL, C_COPY, C_TAKEN) = range(4)
# what a call carries out: copies, instructions; and the places that a calendar needs for each copy
(P_COPY, P_COPIES, P_FIRST, P_LAST, P_PLACES) = range(5)
UNITS, READ_PORT, WRITE_PORT, ASIC_PARTS = range(4)
