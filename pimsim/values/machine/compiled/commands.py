"""Commands, carried out one by one on a memory of BF16 words.

The memory is (cells, lanes, octets, 8) words: a cell is one column of one row of all banks of a channel, and the
banks of a lane lie side by side.  A column has as many lanes as beats of a MAC unit have, each beat filled up with
zeros to a power of two.  Every channel has a buffer of columns, accumulators for each bank and a queue of
instructions: which elements their commands take and give, in their order.  Where these elements come from and go to
in the memory, the command itself says.

Of accumulators that are kept in turn the first sum after a filling of the buffer has the first, the next sum the
next one: a sum ends where products have been all around the buffer, or where it is given.  They are given in that
order.

What is carried out stops at a command that asks for something that is not there: an instruction, or its operands, for
which whoever calls has to care; or a row that is not open, an operand that has been used up, which is an error.
"""

from __future__ import annotations

import numpy as np

from pimsim.dram.compiler import constant, entry, jit, number, octet, put, rounded, spread, unpacked, view, word

SIDE = 8  # banks that are computed side by side

# A command, as the log has it.
(C_CLK, C_CHANNEL, C_COMMAND, C_BANK, C_ROW, C_COLUMN, COMMAND_WIDTH) = range(7)
# What a command means, by its number in the table.
(M_DOES, M_SCOPE, M_NEEDS, M_EFFECT, M_COMPLETION, MEANING_WIDTH) = range(6)
(OTHER, FILL, PRESET, MULTIPLY, GIVE, LOOK_UP, GIVE_FOUND, SCALE, READ, WRITE, WRITE_ALL, UNKNOWN, FILL_NEXT,
 MULTIPLY_ALL, FILL_BEHIND, FILL_BEHIND_NEXT, SWAP) = range(17)  # fmt: skip
(NO_BANK, ONE_BANK, ALL_BANKS) = range(3)
(ANY, OPEN, CLOSED) = range(3)  # as a bank has to be found, and as it is left: 0 is as it is
# The sizes of the memory, and how it adds up.
(H_BANKS, H_ROWS, H_COLUMNS, H_WIDTH, H_UNITS, H_LANES, H_BEATS, H_ROUNDS, H_BY_COLUMN, H_BUFFER, H_PER_GROUP,
 H_FUNCTIONS, H_PARALLEL, H_IN_TURN, HOW_WIDTH) = range(15)  # fmt: skip
# The state of a channel.
(S_FILLED, S_FILLS, S_NEXT, S_ENTRY, S_LAST, S_INPUTS, S_READ, S_FRONT, S_BEHIND, S_BEHIND_INPUTS, S_SUM,
 STATE_WIDTH) = range(12)  # fmt: skip
# An instruction in the queue of a channel: rows of `wires` that are left to take and to give, and where its values are.
(E_TAKE, E_TAKEN, E_GIVE, E_GIVEN, E_BASE, E_OWN, E_LANE, E_SLOT, ENTRY_WIDTH) = range(9)
# What is known of an instruction: pieces that are left on all channels, whether its operands are there, and when the
# last of its results has come.
(L_LEFT, L_FILLED, L_READY, SLOT_WIDTH) = range(4)
ZERO, KEEP = -1, -2  # as in `mapping.wires`
# How far it came, and what stopped it.
(R_AT, R_BANK, R_FOUND, R_SLOT, REPORT_WIDTH) = range(5)
(DONE, NEEDS_ENTRY, NEEDS_OPERANDS, NOT_OPEN, NOT_CLOSED, USED_UP, NOT_GIVEN, OUTSIDE, EMPTY, NO_FUNCTION,
 NO_MEANING, EARLY, RAGGED, NOT_KEPT) = range(14)  # fmt: skip


@entry
def carry_out(meaning, commands, how, image, tables, rows, state, buffers, sums, found, pool, ready, wires, queues,
              slots, report, room):  # fmt: skip
    """Carry out commands (n, COMMAND_WIDTH) from report[R_AT] on; what stopped it, or DONE.

    image (cells, lanes, octets, 8) words; tables (functions, 65536) words; rows (channels, banks) that are open, -1:
    none; state (channels, STATE_WIDTH); buffers (channels, columns, lanes); sums (channels, accumulators, octets, 8);
    found (channels, octets, 8); pool: operands and results of all instructions; ready: when each result is there;
    wires (n, lanes): elements that a command takes or gives; queues (channels, entries, ENTRY_WIDTH); slots (n,
    SLOT_WIDTH); room (lanes, 8).
    """
    return _carry_out(
        constant(meaning), constant(commands), constant(how), view(image), constant(tables), view(rows), view(state),
        view(buffers), view(sums), view(found), view(pool), view(ready), constant(wires), view(queues), view(slots),
        view(report), view(room),
    )  # fmt: skip


@jit
def _carry_out(meaning, commands, how, image, tables, rows, state, buffers, sums, found, pool, ready, wires, queues,
               slots, report, room):  # fmt: skip
    while report[R_AT] < len(commands):
        command = commands[report[R_AT]]
        channel, kind = command[C_CHANNEL], meaning[command[C_COMMAND]]
        stop = _state(kind, command, how, rows[channel], report)
        if stop == DONE:
            stop = _carry_one(
                kind, command, how, image, tables, rows[channel], state[channel], buffers[channel], sums[channel],
                found[channel], pool, ready, wires, queues[channel], slots, report, room,
            )  # fmt: skip
        if stop != DONE:
            return stop
        _effect(kind, command, how, rows[channel])
        report[R_AT] += 1
    return DONE


@jit
def _state(kind, command, how, rows, report):
    """Whether the banks that a command addresses are as it needs them."""
    if kind[M_NEEDS] == ANY:
        return DONE
    wanted = command[C_ROW] if kind[M_NEEDS] == OPEN else ZERO
    first, last = _banks(kind, command, how)
    for bank in range(first, last):
        if rows[bank] != wanted:
            report[R_BANK], report[R_FOUND] = bank, rows[bank]
            return NOT_OPEN if kind[M_NEEDS] == OPEN else NOT_CLOSED
    return DONE


@jit
def _banks(kind, command, how):
    """The banks that a command addresses: from the first up to the last."""
    if kind[M_SCOPE] == ALL_BANKS:
        return 0, how[H_BANKS]
    if kind[M_SCOPE] == ONE_BANK:
        return command[C_BANK], command[C_BANK] + 1
    return 0, 0


@jit
def _effect(kind, command, how, rows):
    """The state that a command leaves its banks in."""
    if kind[M_EFFECT] == ANY:
        return
    first, last = _banks(kind, command, how)
    for bank in range(first, last):
        rows[bank] = command[C_ROW] if kind[M_EFFECT] == OPEN else ZERO


@jit
def _carry_one(kind, command, how, image, tables, rows, state, buffer, sums, found, pool, ready, wires, queue, slots,
               report, room):  # fmt: skip
    """What a command does with numbers."""
    does = kind[M_DOES]
    if does == OTHER:
        return DONE
    if does == UNKNOWN:
        return NO_MEANING
    if does == MULTIPLY or does == MULTIPLY_ALL:
        return _multiply(does, kind, command, how, image, state, buffer, sums, room)
    if does == LOOK_UP:
        return _look_up(command, how, tables, sums[0], found)
    if does == SCALE:
        return _scale(command, how, image)
    if does == SWAP:
        return _swap(how, state)
    gives = does == GIVE or does == GIVE_FOUND or does == READ
    place = _entry(state, queue, slots, gives, report)
    if place < 0:
        return -place
    item = queue[place]
    piece = wires[item[E_GIVE] if gives else item[E_TAKE]]
    stop = DONE if gives else _arrived(command, ready, piece, item, report)
    if stop != DONE:
        return stop
    if does == FILL_BEHIND or does == FILL_BEHIND_NEXT:
        stop = _fill_behind(does, command, how, state, buffer, pool, piece, item[E_BASE])
    elif does == FILL or does == FILL_NEXT:
        stop = _fill(does, command, how, state, buffer, pool, piece, item[E_BASE])
    elif does == PRESET:
        for bank in range(how[H_BANKS]):
            sums[0, bank // SIDE, bank % SIDE] = _element(pool, piece[bank], item[E_BASE])
    elif does == GIVE or does == GIVE_FOUND:
        stop = _give(how, state, sums, found, does, pool, piece, item[E_BASE] + item[E_OWN])
    elif does == READ:
        stop = _read(command, how, image, pool, piece, item[E_BASE] + item[E_OWN])
    else:
        stop = _write(does, command, how, image, pool, piece, item[E_BASE], item[E_LANE])
    if stop != DONE:
        return stop
    if gives:
        item[E_GIVE] += 1
        clk = command[C_CLK] + kind[M_COMPLETION]
        for lane in range(len(piece)):
            if piece[lane] >= 0:
                ready[item[E_BASE] + item[E_OWN] + piece[lane]] = clk
        if clk > slots[item[E_SLOT], L_READY]:
            slots[item[E_SLOT], L_READY] = clk
    else:
        item[E_TAKE] += 1
    slots[item[E_SLOT], L_LEFT] -= 1
    return DONE


@jit
def _entry(state, queue, slots, gives, report):
    """Place in the queue of the instruction that a command belongs to; below 0: what stops it."""
    while True:
        if state[S_ENTRY] == state[S_LAST]:
            return -NEEDS_ENTRY
        place = state[S_ENTRY]
        item = queue[place]
        if item[E_TAKE] < item[E_TAKEN] or item[E_GIVE] < item[E_GIVEN]:
            break
        state[S_ENTRY] += 1
    report[R_SLOT] = item[E_SLOT]
    if gives:
        return place if item[E_GIVE] < item[E_GIVEN] else -NOT_GIVEN
    if item[E_TAKE] == item[E_TAKEN]:
        return -USED_UP
    return place if slots[item[E_SLOT], L_FILLED] else -NEEDS_OPERANDS


@jit
def _arrived(command, ready, piece, item, report):
    """Whether those of an instruction's own results that a piece has are there."""
    for lane in range(len(piece)):
        if piece[lane] >= item[E_OWN] and ready[item[E_BASE] + piece[lane]] > command[C_CLK]:
            report[R_FOUND] = ready[item[E_BASE] + piece[lane]]
            return EARLY
    return DONE


@jit
def _element(pool, place, base):
    """An element of the operands, or a zero."""
    return pool[base + place] if place >= 0 else np.float32(0)


@jit
def _fill(does, command, how, state, buffer, pool, piece, base):
    """A piece into a column of the buffer; the first after a product begins a new filling."""
    column = command[C_COLUMN]
    if column < 0 or column >= how[H_BUFFER]:
        return OUTSIDE
    if not state[S_FILLS]:
        state[S_FILLS], state[S_FILLED], state[S_INPUTS] = 1, 0, 1
    elif does == FILL_NEXT:
        state[S_INPUTS] += 1
    state[S_FILLED] = max(state[S_FILLED], column + 1)
    state[S_NEXT] = state[S_SUM] = 0
    if how[H_IN_TURN]:
        state[S_READ] = 0
    for lane in range(how[H_WIDTH]):
        buffer[state[S_FRONT] + column, _lane(lane, how)] = _element(pool, piece[lane], base)
    return DONE


@jit
def _fill_behind(does, command, how, state, buffer, pool, piece, base):
    """A piece into a column of the other buffer; the first after a swap begins a new filling."""
    column = command[C_COLUMN]
    if column < 0 or column >= how[H_BUFFER]:
        return OUTSIDE
    if not state[S_BEHIND]:
        state[S_BEHIND_INPUTS] = 1
    elif does == FILL_BEHIND_NEXT:
        state[S_BEHIND_INPUTS] += 1
    state[S_BEHIND] = max(state[S_BEHIND], column + 1)
    other = how[H_BUFFER] - state[S_FRONT]
    for lane in range(how[H_WIDTH]):
        buffer[other + column, _lane(lane, how)] = _element(pool, piece[lane], base)
    return DONE


@jit
def _swap(how, state):
    """The other buffer comes to the front; what was there is forgotten."""
    state[S_FRONT] = how[H_BUFFER] - state[S_FRONT]
    state[S_FILLED], state[S_INPUTS] = state[S_BEHIND], state[S_BEHIND_INPUTS]
    state[S_NEXT] = state[S_FILLS] = state[S_BEHIND] = 0
    return DONE


@jit
def _multiply(does, kind, command, how, image, state, buffer, sums, room):
    """A column of the banks times one of the buffer, or times that of each input which the units have.

    Inputs have as many columns each.  They are taken one after another, and around; the sums of one that is taken up
    again begin anew where they were read.
    """
    cell = _cell(command, how)
    if cell < 0:
        return OUTSIDE
    column = command[C_COLUMN] if how[H_BY_COLUMN] else state[S_NEXT]
    if column >= state[S_FILLED]:
        return EMPTY
    inputs = state[S_INPUTS]
    if inputs > 1 and state[S_FILLED] % inputs != 0:
        return RAGGED
    each = state[S_FILLED] // inputs
    first = column // each
    last = min(first + how[H_PARALLEL], inputs) if does == MULTIPLY_ALL else first + 1
    for at in range(first, last):
        given = state[S_FRONT] + column + (at - first) * each
        _add(kind, command, how, image, cell, buffer, given, sums[(state[S_SUM] + at) % len(sums)], room)
    state[S_FILLS] = 0
    if not how[H_IN_TURN]:
        state[S_READ] = 0
    if (column + 1) % each == 0:
        state[S_NEXT] = last % inputs * each
        state[S_SUM] = (state[S_SUM] + 1) % len(sums) if how[H_IN_TURN] else 0
    else:
        state[S_NEXT] = column + 1
    return DONE


@jit
def _add(kind, command, how, image, cell, buffer, column, sums, room):
    """The tree of each beat, then the accumulator."""
    lanes = how[H_LANES]
    for side in range(len(sums)):
        total = octet(sums[side])
        for beat in range(how[H_BEATS]):
            for lane in range(lanes):
                at = beat * lanes + lane
                put(room[lane], unpacked(image[cell, at, side]) * spread(buffer[column, at]))
            apart = 1
            while apart < lanes:
                for lane in range(0, lanes, 2 * apart):
                    put(room[lane], octet(room[lane]) + octet(room[lane + apart]))
                apart *= 2
            total = total + octet(room[0])
            if how[H_ROUNDS]:
                total = rounded(total)
        if kind[M_SCOPE] == ALL_BANKS:
            put(sums[side], total)
        elif command[C_BANK] // SIDE == side:
            put(room[0], total)
            sums[side, command[C_BANK] % SIDE] = room[0, command[C_BANK] % SIDE]


@jit
def _cell(command, how):
    """Where the column of a row lies in the memory; below 0: nowhere."""
    row, column = command[C_ROW], command[C_COLUMN]
    if row < 0 or row >= how[H_ROWS] or column < 0 or column >= how[H_COLUMNS]:
        return ZERO
    return (command[C_CHANNEL] * how[H_ROWS] + row) * how[H_COLUMNS] + column


@jit
def _lane(element, how):
    """The lane of an element of a column."""
    return element // how[H_UNITS] * how[H_LANES] + element % how[H_UNITS]


@jit
def _give(how, state, sums, found, does, pool, piece, base):
    """The first accumulators that are left, rounded, or what was looked up; they are cleared."""
    if state[S_READ] == len(sums):
        return NOT_KEPT
    kept = sums[state[S_READ]]
    for bank in range(how[H_BANKS]):
        side, place = bank // SIDE, bank % SIDE
        if piece[bank] >= 0:
            pool[base + piece[bank]] = rounded(kept[side, place]) if does == GIVE else found[side, place]
    for side in range(len(kept)):
        put(kept[side], spread(np.float32(0)))
    if how[H_IN_TURN]:  # what is added to is not one that has been given
        if state[S_SUM] == state[S_READ]:
            state[S_SUM] = (state[S_SUM] + 1) % len(sums)
        state[S_READ] = (state[S_READ] + 1) % len(sums)
    elif len(sums) > 1:
        state[S_READ] += 1
    return DONE


@jit
def _look_up(command, how, tables, sums, found):
    function = command[C_ROW] - how[H_FUNCTIONS]
    if function < 0 or function >= len(tables):
        return NO_FUNCTION
    for bank in range(how[H_BANKS]):
        side, place = bank // SIDE, bank % SIDE
        found[side, place] = number(tables[function, word(rounded(sums[side, place]))])
    return DONE


@jit
def _scale(command, how, image):
    """The columns of a group's first two banks, multiplied into its third."""
    cell = _cell(command, how)
    if cell < 0:
        return OUTSIDE
    for first in range(0, how[H_BANKS], how[H_PER_GROUP]):
        for element in range(how[H_WIDTH]):
            lane = _lane(element, how)
            a = number(image[cell, lane, first // SIDE, first % SIDE])
            b = number(image[cell, lane, (first + 1) // SIDE, (first + 1) % SIDE])
            image[cell, lane, (first + 2) // SIDE, (first + 2) % SIDE] = word(rounded(a * b))
    return DONE


@jit
def _read(command, how, image, pool, piece, base):
    cell = _cell(command, how)
    if cell < 0:
        return OUTSIDE
    bank = command[C_BANK]
    for lane in range(how[H_WIDTH]):
        if piece[lane] >= 0:
            pool[base + piece[lane]] = number(image[cell, _lane(lane, how), bank // SIDE, bank % SIDE])
    return DONE


@jit
def _write(does, command, how, image, pool, piece, base, lane_of_all):
    cell = _cell(command, how)
    if cell < 0:
        return OUTSIDE
    if does == WRITE_ALL:
        for bank in range(how[H_BANKS]):
            image[cell, _lane(lane_of_all, how), bank // SIDE, bank % SIDE] = word(_element(pool, piece[bank], base))
        return DONE
    bank = command[C_BANK]
    for lane in range(how[H_WIDTH]):
        if piece[lane] != KEEP:
            image[cell, _lane(lane, how), bank // SIDE, bank % SIDE] = word(_element(pool, piece[lane], base))
    return DONE
