"""What stands where in the arrays that the compiled host and the compiled reader work on; all are int64."""

# An instruction; what its operation has not is as in `isa.AimInstruction`, MASK 0 and CHANNEL -1.
(C_OPERATION, C_MASK, C_CHANNEL, C_SIZE, C_BANK, C_ROW, C_REGISTER, C_VALUE, COLUMNS) = range(9)

# An operation, as the host knows it: what it is, its command (-1: none), and the clocks
# after the command for which the host waits (0: it does not), and whether it reads the array.
(O_KIND, O_COMMAND, O_HOLD, O_READS, OPERATION_WIDTH) = range(5)
PLAIN, FUNCTION, CONFIGURES, BARRIER, END, ACCESS = range(6)

# The host: the clock of the next decode, the end of all data so far, the row that stands for the
# activation function, whether the program has ended; the next instruction of the block; joins of
# channels to leave out, and how many there will be after the next one in vain; whether accesses are queued.
(H_CLK, H_END, H_FUNCTION, H_ENDED, H_NEXT, H_SKIP, H_VAIN, H_QUEUED, HOST_WIDTH) = range(9)

# A queue: how many commands it was asked for, then the clocks at which the latest issued, each
# at its number modulo PLACES.
Q_ASKED, Q_CLOCKS = 0, 1
QUEUE_ENTRIES = 33  # commands that a channel's queue holds (source: AiM reference simulator)
MANY_WRITES, FEW_WRITES = 25.6, 6.4  # queued: when they have their turn, and lose it (source: as QUEUE_ENTRIES)
PLACES = 64  # a power of 2, more than QUEUE_ENTRIES
QUEUE_WIDTH = Q_CLOCKS + PLACES

# An operation, as the reader knows it: the first word of its line; the bytes of the second, 8 a
# number, the first one lowest; the bits of channels that the device has not; whether a mask
# drives one channel only; how many fields follow, and of each the column of the instruction
# (-1: none), and the limits of its value.
(G_FIRST, G_LOW, G_HIGH, G_ABSENT, G_ONE, G_FIELDS, G_FIELD) = range(7)
(F_COLUMN, F_LEAST, F_MOST, FIELD_WIDTH) = range(4)
MOST_FIELDS = 4
GRAMMAR_WIDTH = G_FIELD + MOST_FIELDS * FIELD_WIDTH

# What was read: how many lines, whether the last of them ends the program, and whether all were
# as they should be.
(L_LINES, L_ENDED, L_PLAIN, READ_WIDTH) = range(4)
