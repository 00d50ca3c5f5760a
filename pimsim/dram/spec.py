"""The table language of a DRAM device: commands, timing constraints, roles.

A device is data, as in a JEDEC manual: a tuple of `Command`, a tuple of
`TimingConstraint`, and the roles that tell a controller which command opens,
closes and refreshes.  Nothing in this package branches on a device's name; if a
device needs something that these tables cannot say, the tables grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cached_property


@dataclass(frozen=True)
class Level:
    """A partition of a channel's banks into nodes, such as bank groups.

    node: an integer expression over bank, banks, bank_groups and banks_per_group that is
    equal for the banks of one node, and for no others.
    """

    name: str
    node: str


CHANNEL = Level("channel", "0")
BANK_GROUP = Level("bank_group", "bank // banks_per_group")
BANK = Level("bank", "bank")


class Scope(StrEnum):
    """What a command addresses, if it is not a node of a level between bank and channel."""

    CHANNEL = "channel"  # registers and pins only: no bank
    BANK = "bank"  # one bank
    ALL_BANKS = "all_banks"  # every bank of the channel in lock step


class Needs(Enum):
    """The state that the addressed banks must be in when a command issues."""

    ANY = "any"
    OPEN = "open"  # open at the command's own row
    CLOSED = "closed"


class Effect(Enum):
    """The state that a command leaves the addressed banks in."""

    NONE = "none"
    OPEN = "open"
    CLOSE = "close"


class Column(Enum):
    """What a command does with one column of each bank that it addresses."""

    NONE = "none"
    READ = "read"
    WRITE = "write"


class Does(Enum):
    """What a command does with numbers: for those who carry it out on values.

    An operand comes in pieces of a column, or of a number for each bank; commands take them in their order.
    """

    NOTHING = "nothing"
    FILL = "takes a piece into its column of the buffer"
    FILL_NEXT = "takes a piece into its column of the buffer, the first one of a further input"
    FILL_BEHIND = "takes a piece into its column of the buffer behind"
    FILL_BEHIND_NEXT = "takes a piece into its column of the buffer behind, the first one of a further input"
    SWAP = "brings the buffer behind to the front"
    PRESET = "takes a piece into the accumulators"
    MULTIPLY = "adds the products of a column of each bank with one of the buffer to the bank's accumulator"
    MULTIPLY_ALL = "does so for as many inputs of the buffer as a bank has units, each with accumulators of its own"
    GIVE = "gives the first accumulator of each bank that was not given since the last product, rounded, and clears it"
    GIVE_WHOLE = "does so as it is, an integer of 32 bits"
    LOOK_UP = "looks up what the function of its row makes of the accumulators, rounded"
    GIVE_FOUND = "gives what was looked up, and clears the accumulators"
    SCALE = "multiplies the column of each group's first bank with that of its second, into its third"
    READ = "gives its column of a bank"
    WRITE = "takes a piece into its column of a bank, but for bytes that are masked"
    WRITE_ALL = "takes a piece into one lane of its column of every bank"


# (price, how often a command counts in it): a number, or a share of the banks of the channel ("B", "1/B", "B/4").
Actions = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Command:
    """One command of a bus: when it may issue, and what it means.

    `scope` is one of `Scope`, or the name of a level: the command then addresses all banks of a
    node in lock step, and any bank of it says which.  `completion` is an expression over timing
    names: clocks from issue until the command's data has crossed the pins (empty: the command
    moves no data that anyone waits for).  `shows_column` says whether the log carries a column.
    `mode` is the mode that the channel must be in (empty: any).  `bus` is the command bus that
    carries it: of two buses, commands may issue in one clock.

    column      what it does with a column of each bank that it addresses
    moves       bytes over the pins: an expression of `column` (bytes of one), `banks` and `element` (empty: none)
    on_pins     clocks that they take there, an expression over timing names
    multiplies  the MAC units take the columns that it reads
    lasts       clocks that it keeps the MAC units, or the banks that it refreshes, busy (empty: none)
    does        what it does with numbers
    energy      how often it counts in each price of `energy.formulas` (None: it has no price); its bytes on
                the pins count besides
    logged      the command that logs and counts call it, which is the same but for its times (empty: itself)
    pair        the formats that it multiplies, see `pimsim.formats` (empty: those of 16 bits that the memory has)
    one_in      of so many banks that it addresses it uses a column of one
    """

    name: str
    scope: str
    needs: Needs = Needs.ANY
    effect: Effect = Effect.NONE
    shows_column: bool = False
    completion: str = ""
    mode: str = ""
    column: Column = Column.NONE
    moves: str = ""
    on_pins: str = ""
    multiplies: bool = False
    lasts: str = ""
    energy: Actions | None = None
    bus: str = ""
    # a table without these is told as it always was
    does: Does = field(default=Does.NOTHING, repr=False)
    logged: str = field(default="", repr=False)
    pair: str = field(default="", repr=False)
    one_in: int = field(default=1, repr=False)

    @property
    def has_bank(self) -> bool:
        """Whether a bank goes with the command: its own, or one that says which node it addresses."""
        return self.scope not in (Scope.CHANNEL, Scope.ALL_BANKS)


@dataclass(frozen=True)
class TimingConstraint:
    """`following` may issue no earlier than `latency` clocks after `preceding`.

    level: "channel" binds any two commands of a channel; the name of any other level two that
    share a node of it ("bank_group" two of a bank group, "bank" two of a bank).  An all-bank
    command shares every node; a channel-scope command shares none.
    window: counts back; with window w the w-th most recent preceding command of
    the node binds (tFAW is window 4 at channel level).
    latency: an arithmetic expression over timing names in clocks.
    """

    level: str
    preceding: tuple[str, ...]
    following: tuple[str, ...]
    latency: str
    window: int = 1
    source: str = ""


@dataclass(frozen=True)
class Roles:
    """Which commands a controller uses to open, close, refresh, read and write (None: has none).

    refresh_*: the command of each refresh scheme.  It goes round the nodes that its scope
    addresses.  What closes them before is the close_* command of the same scope, else close_bank
    for each bank that is open.
    open_rest: what issues when all banks shall be open at a row and some are, the others
    closed: opens one closed bank (None: open_bank does), opens all banks over, or closes all.
    switch_mode: toggles between the channel's two modes.
    """

    open_bank: str | None = None
    open_all: str | None = None
    close_bank: str | None = None
    close_all: str | None = None
    refresh_all: str | None = None
    refresh_bank: str | None = None
    refresh_same: str | None = None
    close_same: str | None = None
    open_rest: str | None = None
    switch_mode: str | None = None
    read: str = "RD"
    write: str = "WR"

    def refresh(self, scheme: str) -> str | None:
        """The command of a refresh scheme (all_bank, per_bank, same_bank); None if there is none."""
        return {"all_bank": self.refresh_all, "per_bank": self.refresh_bank, "same_bank": self.refresh_same}.get(scheme)

    @property
    def refreshes(self) -> tuple[str, ...]:
        """All commands that refresh."""
        return tuple(x for x in (self.refresh_all, self.refresh_bank, self.refresh_same) if x is not None)


@dataclass(frozen=True)
class Standard:
    """A device: its commands, its timing table, its roles and its latency causes.

    causes: rows (preceding, following, cause), first match wins, "*" matches all:
    to what the clocks between two consecutive commands of a channel are charged.
    derived: timing names computed from other names, in order (name, expression).
    modes: the modes of a channel, two or none; it starts in the first.
    logs_request: whether the log gives every command the bank, row and column of the request
    that it serves, even where the command itself has none.
    function_rows: half-open range of row numbers beyond the array that open like any other.
    functions: what the first of those rows stand for, by the name of the operator.
    buffer_by_column: of the buffer a product takes the column that has its own number (False: one after another, from
    the first on, and around behind the last that was filled).
    keeps_in_turn: of several accumulators of a bank each product that goes once around the buffer has the next one,
    the first one after a filling; they are given in that order (False: there is one).
    queued_accesses: a host's accesses have queues of their own, and leave them out of order (False: all goes in order).
    levels: the partitions of a channel's banks that its rows and scopes name, the channel first, a bank last.
    pins: the level whose nodes have data pins of their own, equal shares of the channel's.
    Commands that logs call by the name of another one come last.
    """

    name: str
    commands: tuple[Command, ...]
    constraints: tuple[TimingConstraint, ...]
    roles: Roles
    causes: tuple[tuple[str, str, str], ...] = ()
    derived: Mapping[str, str] = field(default_factory=dict)
    modes: tuple[str, ...] = ()
    logs_request: bool = False
    function_rows: tuple[int, int] = (0, 0)
    functions: tuple[str, ...] = field(default=(), repr=False)
    buffer_by_column: bool = field(default=False, repr=False)
    keeps_in_turn: bool = field(default=False, repr=False)
    queued_accesses: bool = field(default=False, repr=False)
    levels: tuple[Level, ...] = (CHANNEL, BANK_GROUP, BANK)
    pins: str = "channel"

    def has_row(self, row: int, rows: int) -> bool:
        """Whether a bank with `rows` rows in its array can open `row`."""
        return 0 <= row < rows or self.function_rows[0] <= row < self.function_rows[1]

    def level(self, name: str) -> Level:
        """The level called `name`; KeyError names the device's levels if unknown."""
        for level in self.levels:
            if level.name == name:
                return level
        raise KeyError(f"{self.name} has no level {name!r}; it has {', '.join(level.name for level in self.levels)}")

    def closing(self, refresh: str) -> str | None:
        """What closes the banks that a refresh addresses: all at once if a command has its scope, else each."""
        for name in (self.roles.close_all, self.roles.close_same):
            if name is not None and self.command(name).scope == self.command(refresh).scope:
                return name
        return self.roles.close_bank

    def command(self, name: str) -> Command:
        """The command called `name`; KeyError names the device's commands if unknown."""
        return self.commands[self.index(name)]

    def index(self, name: str) -> int:
        """The position of command `name` in the table; KeyError as `command`."""
        if name not in self._places:
            raise KeyError(f"{self.name} has no command {name!r}; it has {', '.join(self._places)}")
        return self._places[name]

    @cached_property
    def log_names(self) -> tuple[str, ...]:
        """The names that logs and counts have, in table order."""
        return tuple(command.name for command in self.commands if not command.logged)

    @cached_property
    def log_numbers(self) -> tuple[int, ...]:
        """For each command of the table the place in `log_names` of its name in logs and counts."""
        return tuple(self.log_names.index(command.logged or command.name) for command in self.commands)

    def masked(self, name: str) -> str:
        """The command that writes some elements of a column where `name` writes all; `name` if there is no other."""
        return next((command.name for command in self.commands if command.logged == name), name)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {command.name: place for place, command in enumerate(self.commands)}
