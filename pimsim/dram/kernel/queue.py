"""The queue of a channel: the requests that wait, in order of age, and of each bank those that go first.

A request stays in the place that it took.  Places are linked twice: all of a kind, reads or
writes, and those of a kind that are for one bank, both from the oldest to the youngest.  Of
each kind and bank the oldest is known, and the oldest whose row is open, so that a bank knows
what it may do next: what all do next is found by a look at the banks, however many requests wait.

All requests share the places, or reads and writes have places of their own (Q_APART).
"""

from __future__ import annotations

from pimsim.dram.compiler import jit, parts_of
from pimsim.dram.kernel.numbers import NONE
from pimsim.dram.records import Record

READS, WRITES, KINDS = range(3)
# A request as it comes.
(P_ARRIVAL, P_COMMAND, P_BANK, P_ROW, P_COLUMN, REQUEST_WIDTH) = range(6)
# In its place in the queue it has besides
(
    P_NUMBER,  # counted from 0 as all requests of the channel come; of a free place -1
    P_RANK,  # and as those of its kind come
    P_OLDER,  # places of the requests of its kind next to it, or -1
    P_YOUNGER,
    P_BEFORE,  # and of those that are for its bank as well
    P_AFTER,  # of a free place: the next free one
    PLACE_WIDTH,
) = range(REQUEST_WIDTH, REQUEST_WIDTH + 7)
# What is known of a kind.
(K_WAITING, K_ENTERED, K_OLDEST, K_YOUNGEST, KIND_REGISTERS) = range(5)
# What a bank may do next, if it alone had its way: see `look`.
(N_PLACE, N_COMMAND, N_OTHER, N_OTHER_COMMAND, N_HITS, NEXT_WIDTH) = range(6)
# The registers.
(
    Q_BEGUN,  # whether anything was served yet
    Q_MORE,  # whether requests come after those of a call
    Q_SERVED,  # how many a call served
    Q_START,  # nothing issues before
    Q_CHANNEL,
    Q_WRITE,  # the command that is a write
    Q_PATIENCE,  # how many younger requests may go before the oldest
    Q_PLACES,  # of all requests, or of reads
    Q_APART,  # places of writes alone; 0: there are none
    Q_HIGH,  # as many writes waiting begin to drain
    Q_LOW,  # and as many are left
    Q_DRAINING,  # whether writes go, and reads wait
    Q_NUMBER,  # of the request that enters next
    Q_FREE,  # a free place, or -1
    QUEUE_REGISTERS,
) = range(15)


class Queue(Record):
    """Of one channel."""

    reg = (QUEUE_REGISTERS,)
    kind = (KINDS, KIND_REGISTERS)
    oldest = (KINDS, "banks")  # places, or -1
    youngest = (KINDS, "banks")
    hit = (KINDS, "banks")  # of the oldest whose row is open
    next = ("banks", NEXT_WIDTH)
    place = ("places", PLACE_WIDTH)


queue_of = parts_of(Queue)


@jit
def kind_of(q, cmd):
    """Whether a command is that of a write."""
    return WRITES if cmd == q.reg[Q_WRITE] else READS


@jit
def waiting(q):
    """How many requests wait."""
    return q.kind[READS, K_WAITING] + q.kind[WRITES, K_WAITING]


@jit
def has_room(q, kind):
    """Whether a request of this kind may enter."""
    if q.reg[Q_APART] == 0:
        return waiting(q) < q.reg[Q_PLACES]
    return q.kind[kind, K_WAITING] < (q.reg[Q_APART] if kind == WRITES else q.reg[Q_PLACES])


@jit
def _link(places, place, older, younger, firsts, first, lasts, last):
    """Put a place at the end of a list that columns `older` and `younger` link, from firsts[first] to lasts[last]."""
    places[place, older], places[place, younger] = lasts[last], NONE
    if lasts[last] < 0:
        firsts[first] = place
    else:
        places[lasts[last], younger] = place
    lasts[last] = place


@jit
def _unlink(places, place, older, younger, firsts, first, lasts, last):
    """Take a place out of such a list."""
    before, after = places[place, older], places[place, younger]
    if before < 0:
        firsts[first] = after
    else:
        places[before, younger] = after
    if after < 0:
        lasts[last] = before
    else:
        places[after, older] = before


@jit
def enter(d, s, q, request):
    """A request takes a free place, as the youngest."""
    place = q.reg[Q_FREE]
    own = q.place[place]
    q.reg[Q_FREE] = own[P_AFTER]
    for k in range(REQUEST_WIDTH):
        own[k] = request[k]
    kind, bank = kind_of(q, own[P_COMMAND]), own[P_BANK]
    own[P_NUMBER], own[P_RANK] = q.reg[Q_NUMBER], q.kind[kind, K_ENTERED]
    q.reg[Q_NUMBER] += 1
    q.kind[kind, K_ENTERED] += 1
    q.kind[kind, K_WAITING] += 1
    _link(q.place, place, P_OLDER, P_YOUNGER, q.kind[kind], K_OLDEST, q.kind[kind], K_YOUNGEST)
    _link(q.place, place, P_BEFORE, P_AFTER, q.oldest[kind], bank, q.youngest[kind], bank)
    if q.hit[kind, bank] < 0 and s.rows[bank] == own[P_ROW]:
        q.hit[kind, bank] = place
    look(d, s, q, bank)


@jit
def leave(d, s, q, place):
    """A request is served: its place is free."""
    own = q.place[place]
    kind, bank = kind_of(q, own[P_COMMAND]), own[P_BANK]
    q.kind[kind, K_WAITING] -= 1
    _unlink(q.place, place, P_OLDER, P_YOUNGER, q.kind[kind], K_OLDEST, q.kind[kind], K_YOUNGEST)
    _unlink(q.place, place, P_BEFORE, P_AFTER, q.oldest[kind], bank, q.youngest[kind], bank)
    if q.hit[kind, bank] == place:
        q.hit[kind, bank] = _first_hit(s, q, bank, own[P_AFTER])
    own[P_NUMBER], own[P_AFTER] = NONE, q.reg[Q_FREE]
    q.reg[Q_FREE] = place
    look(d, s, q, bank)


@jit
def _first_hit(s, q, bank, place):
    """Of the requests for a bank from a place on, the place of the oldest whose row is open, or -1."""
    while place >= 0 and q.place[place, P_ROW] != s.rows[bank]:
        place = q.place[place, P_AFTER]
    return place


@jit
def find_hits(d, s, q, bank):
    """A row of a bank was opened or closed: other requests hit."""
    for kind in range(KINDS):
        q.hit[kind, bank] = _first_hit(s, q, bank, q.oldest[kind, bank]) if s.rows[bank] >= 0 else NONE
    look(d, s, q, bank)


@jit
def kinds_served(q):
    """The kinds that are served now, from one to before another: both unless they wait apart."""
    if q.reg[Q_APART] == 0:
        return READS, KINDS
    return (WRITES, KINDS) if q.reg[Q_DRAINING] else (READS, WRITES)


@jit
def oldest_of(q):
    """The place of the oldest request of the kinds that are served, of which some waits."""
    first, last = kinds_served(q)
    return _older(q, q.kind[first, K_OLDEST], q.kind[last - 1, K_OLDEST])


@jit
def _older(q, one, other):
    """The place of the older of two requests, each of which may be none (-1)."""
    if one < 0 or (other >= 0 and q.place[other, P_NUMBER] < q.place[one, P_NUMBER]):
        return other
    return one


@jit
def look(d, s, q, bank):
    """What a bank may do next, after anything changed there.

    With hits, the oldest one of each kind may go; without, the oldest request says which row
    comes next.  Of each its place, or -1, and the command.
    """
    first, last = kinds_served(q)
    own, one, other = q.next[bank], q.hit[first, bank], q.hit[last - 1, bank]
    if one < 0:
        one = other
    if other == one:
        other = NONE
    own[N_HITS] = one >= 0
    if one >= 0:
        own[N_COMMAND] = q.place[one, P_COMMAND]
    else:
        one = _older(q, q.oldest[first, bank], q.oldest[last - 1, bank])
        own[N_COMMAND] = d.open_bank if s.rows[bank] < 0 else d.close_bank
    own[N_PLACE], own[N_OTHER] = one, other
    if other >= 0:
        own[N_OTHER_COMMAND] = q.place[other, P_COMMAND]


@jit
def overtaken(q, place):
    """How many younger requests were served before the one in this place, the oldest: all older ones were."""
    own = q.place[place]
    if q.reg[Q_APART] == 0:
        return q.reg[Q_NUMBER] - waiting(q) - own[P_NUMBER]
    kind = kind_of(q, own[P_COMMAND])
    return q.kind[kind, K_ENTERED] - q.kind[kind, K_WAITING] - own[P_RANK]


@jit
def turn_the_pins(d, s, q):
    """Reads or writes: writes drain from the high mark down to the low one, and while no read waits."""
    before = q.reg[Q_DRAINING]
    reads, writes = q.kind[READS, K_WAITING], q.kind[WRITES, K_WAITING]
    if q.reg[Q_DRAINING]:
        q.reg[Q_DRAINING] = writes > 0 and (reads == 0 or writes > q.reg[Q_LOW])
    else:
        q.reg[Q_DRAINING] = writes > 0 and (reads == 0 or writes >= q.reg[Q_HIGH])
    if q.reg[Q_DRAINING] != before:
        for bank in range(d.banks):
            look(d, s, q, bank)
