"""What the machine refuses, with the command and its place; and what stands in its memory before and after a run."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from pimsim.devices.plan import compile_plan
from pimsim.dram.program import LOOP
from pimsim.dram.spec import Does
from pimsim.errors import InputError
from pimsim.mapping.caches import cache_name
from pimsim.mapping.routing import Routing
from pimsim.values.machine.image import UNWRITTEN
from pimsim.values.machine.machine import CommandError, Machine
from tests.values.runs import Case, Ints, case, same

CLK, CHANNEL, COMMAND, BANK, ROW, COLUMN = range(6)
SMALL: dict[str, Any] = {"dram__channels": 2, "dram__bank_groups": 2, "pim__global_buffer_bytes": 64}
IDS = (3, 17)


@cache
def run(family: str = "llama", device: str = "pim-gpt", **changes: Any) -> tuple[Case, Ints]:
    """A small run, and its commands."""
    made = case(family, device, IDS, **(SMALL | changes))
    return made, made.commands()


def number(of: Case, name: str) -> int:
    return of.plan.device.standard.index(name)


def rows_of(of: Case, log: Ints, name: str, channel: int = 0) -> Ints:
    """The places of a command of a channel."""
    found: Ints = np.flatnonzero((log[:, COMMAND] == number(of, name)) & (log[:, CHANNEL] == channel))
    return found


def refusal(of: Case, log: Ints, finish: bool = False) -> str:
    """What the machine says of commands that it cannot carry out."""
    with pytest.raises(CommandError) as caught:
        of.carried(log, finish)
    return str(caught.value)


def told(of: Case, command: Ints) -> str:
    """A command as messages have it."""
    clk, channel, what, bank, row, column = command.tolist()
    where = [f"{name} {x}" for name, x in (("bank", bank), ("row", row), ("column", column)) if x >= 0]
    return f"clock {clk}, channel {channel}: {' '.join([of.plan.device.standard.commands[what].name, *where])}: "


def without(log: Ints, *rows: int) -> Ints:
    return np.delete(log, rows, axis=0)


def with_more(log: Ints, at: int, *commands: Any) -> Ints:
    """Further commands before one, at its clock."""
    return np.insert(log, at, np.array(commands, np.int64), axis=0)


def changed(log: Ints, place: int, **to: int) -> Ints:
    """The command at a place with another row or column."""
    made = log.copy()
    for name, value in to.items():
        made[place, {"row": ROW, "column": COLUMN}[name]] = value
    return made


def test_the_run_itself_is_carried_out() -> None:
    of, log = run()
    assert same(of.carried(log), of.fast())


# -- banks ---------------------------------------------------------------------------------


def test_a_column_of_a_closed_bank() -> None:
    of, log = run()
    opening = int(rows_of(of, log, "ACTAB")[0])
    use = int(rows_of(of, log, "MACAB")[0])
    assert refusal(of, without(log, opening)) == told(of, log[use]) + "bank 0 is closed"
    read = int(rows_of(of, log, "RD", int(log[0, CHANNEL]))[0])
    assert log[0, COMMAND] == number(of, "ACT")
    assert refusal(of, log[read:]) == told(of, log[read]) + f"bank {log[read, BANK]} is closed"


def test_a_column_of_another_row_than_the_open_one() -> None:
    of, log = run()
    use = int(rows_of(of, log, "MACAB")[3])
    row = int(log[use, ROW])
    moved = changed(log, use, row=row + 1)
    assert refusal(of, moved) == told(of, moved[use]) + f"bank 0 is open at row {row}"


def test_an_activation_of_an_open_bank() -> None:
    of, log = run()
    for name in ("ACT", "ACTAB"):
        opening = int(rows_of(of, log, name, 1)[-1])
        bank, row = max(0, int(log[opening, BANK])), int(log[opening, ROW])
        twice = with_more(log, opening, log[opening])
        assert refusal(of, twice) == told(of, log[opening]) + f"bank {bank} is open at row {row}"


@pytest.mark.parametrize("name", ["REFAB", "REFPB"])
def test_a_refresh_of_an_open_bank(name: str) -> None:
    of, log = run()
    use = int(rows_of(of, log, "MACAB")[0])
    clk, row = log[use, [CLK, ROW]].tolist()
    refresh = np.array([clk, 0, number(of, name), -1 if name == "REFAB" else 0, -1, -1])
    assert refusal(of, with_more(log, use, refresh)) == told(of, refresh) + f"bank 0 is open at row {row}"


def test_a_refresh_of_closed_banks_loses_nothing() -> None:
    of, log = run()
    refresh = np.array([0, 0, number(of, "REFAB"), -1, -1, -1])
    assert same(of.carried(with_more(log, 0, refresh)), of.fast())


# -- addresses -------------------------------------------------------------------------------


def test_a_row_that_the_run_does_not_use() -> None:
    of, log = run()
    rows = of.plan.memory.rows
    begin = [[0, 1, number(of, "ACTAB"), -1, rows, -1], [0, 1, number(of, "MACAB"), -1, rows, 0]]
    outside = "the address is outside of what the run uses"
    assert refusal(of, with_more(log, 0, *begin)) == told(of, np.array(begin[1])) + outside
    for name in ("RD", "WR"):
        channel = int(log[log[:, COMMAND] == number(of, name)][0, CHANNEL])
        use = int(rows_of(of, log, name, channel)[0])
        opening = rows_of(of, log, "ACT", channel)
        opening = int(opening[(opening < use) & (log[opening, BANK] == log[use, BANK])][-1])
        away = changed(changed(log, opening, row=rows), use, row=rows)
        assert refusal(of, away) == told(of, away[use]) + outside


def test_a_column_that_no_row_has() -> None:
    of, log = run()
    columns = of.plan.device.columns
    for name in ("MACAB", "RD", "WR"):
        use = int(np.flatnonzero(log[:, COMMAND] == number(of, name))[0])
        away = changed(log, use, column=columns)
        assert refusal(of, away) == told(of, away[use]) + "the address is outside of what the run uses"


def test_a_column_that_the_buffer_does_not_have() -> None:
    of, log = run()
    fill = int(rows_of(of, log, "WRGB")[0])
    away = changed(log, fill, column=2)
    assert refusal(of, away) == told(of, away[fill]) + "the address is outside of what the run uses"
    first = int(rows_of(of, log, "MACAB")[0])
    empty = without(log, *[int(row) for row in rows_of(of, log, "WRGB") if row < first])
    assert refusal(of, empty).endswith("the buffer has no such column")


def test_of_a_buffer_that_goes_by_columns_one_that_was_not_filled() -> None:
    of, log = run(device="aim")
    fills, first = rows_of(of, log, "WRGB"), int(rows_of(of, log, "MAC16")[0])
    last = int(fills[fills < first][-1])
    use = next(int(row) for row in rows_of(of, log, "MAC16") if log[row, COLUMN] == log[last, COLUMN])
    assert refusal(of, without(log, last)) == told(of, log[use]) + "the buffer has no such column"


def test_a_row_of_functions_that_has_none() -> None:
    of, log = run("gpt2", "aim")
    use = int(rows_of(of, log, "AF16")[0])
    opening = int(rows_of(of, log, "ACT16")[rows_of(of, log, "ACT16") < use][-1])
    row = of.plan.device.standard.function_rows[0] + len(of.plan.device.standard.functions)
    away = changed(changed(log, opening, row=row), use, row=row)
    assert refusal(of, away) == told(of, away[use]) + "no function of the banks"


# -- instructions ------------------------------------------------------------------------------


def test_sums_that_are_read_twice() -> None:
    of, log = run()
    for row in rows_of(of, log, "RDMAC")[[0, 7, -1]].tolist():
        assert refusal(of, with_more(log, row, log[row]), finish=True)


def test_a_result_is_read_though_an_instruction_still_takes() -> None:
    of, log = run()
    append = int(rows_of(of, log, "WR", int(log[log[:, COMMAND] == number(of, "WR")][0, CHANNEL]))[0])
    read = np.array([log[append, CLK], log[append, CHANNEL], number(of, "RDMAC"), -1, -1, -1])
    found = refusal(of, with_more(log, append + 1, read))
    assert found == told(of, read) + "'key_append' has no further result, but more to send"


def test_more_is_sent_than_an_instruction_has() -> None:
    of, log = run()
    fill = int(rows_of(of, log, "WRGB")[0])
    first = int(rows_of(of, log, "RDMAC")[0])
    before = rows_of(of, log, "WRGB")
    count = len(before[before < first])
    q = next(i for i in of.plan.named_step(1, True).block if i.operator == "q")
    assert q.operands is not None and q.operands.wires is not None
    pieces = len(q.operands.wires().taken[0])
    more = [log[fill]] * (pieces - count + 1)
    assert refusal(of, with_more(log, fill, *more)).endswith("'q' has nothing more to send")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.999])
def test_a_log_that_ends_early(share: float) -> None:
    of, log = run()
    found = refusal(of, log[: int(share * len(log))], finish=True)
    assert found.startswith("the log ends before ")
    if not share:
        assert found == "the log ends before 'embed' of the step at context 1"


def test_what_comes_after_the_last_result_decides_nothing() -> None:
    of, log = run()
    last = int(np.flatnonzero(log[:, COMMAND] == number(of, "RDMAC"))[-1])
    assert last < len(log) - 1  # the banks are closed
    assert same(of.carried(log[: last + 1]), of.fast())
    assert "'lm_head' is done in channel" in refusal(of, without(log, last), finish=True)


@pytest.mark.parametrize("name", ["WRGB", "RDMAC"])
def test_a_command_that_no_instruction_asks_for(name: str) -> None:
    of, log = run()
    command = np.array([log[-1, CLK] + 100, 0, number(of, name), -1, -1, 0 if name == "WRGB" else -1])
    found = refusal(of, with_more(log, len(log), command))
    assert found == told(of, command) + "the run has no further instruction"


def test_an_operand_is_used_when_the_last_result_has_crossed_the_pins() -> None:
    """A log whose clocks are moved together, from the first product on."""
    of, log = run()
    first = int(np.flatnonzero(log[:, COMMAND] == number(of, "WRGB"))[0])
    device = of.plan.device
    reads = np.flatnonzero(log[:first, COMMAND] == number(of, "RD"))
    ready = int(log[reads[-1], CLK]) + device.completion(device.standard.command("RD"))
    assert log[first, CLK] > ready

    def moved(to: int) -> Ints:
        made = log.copy()
        made[first:, CLK] += to - log[first, CLK]
        return made

    assert same(of.carried(moved(ready)), of.fast())
    early = moved(ready - 1)
    assert refusal(of, early).startswith(told(of, early[first]) + "the last result of '")
    assert refusal(of, early).endswith(f" arrives at clock {ready}")


def test_a_sum_goes_on_in_the_banks_when_it_has_crossed_the_pins() -> None:
    """The first accumulators that go on from a sum are those of the second segment of q."""
    of, log = run(device="aim")
    q = next(i for i in of.plan.named_step(1, True).block if i.operator == "q")
    assert q.operands is not None and q.operands.wires is not None
    wires = q.operands.wires()
    taken = wires.taken[0]
    presets = [k for k in range(len(taken)) if (taken[k] >= wires.own).any()]
    fills = 2 * 2  # of two segments of two columns, one after the other
    assert presets[0] == fills + len(taken[fills:]) // 2
    preset = int(rows_of(of, log, "WRMAC16")[presets[0] - fills])
    read = int(rows_of(of, log, "RDMAC16")[0])
    device = of.plan.device
    there = int(log[read, CLK]) + device.completion(device.standard.command("RDMAC16"))
    soon, early = log.copy(), log.copy()
    soon[preset, CLK], early[preset, CLK] = there, there - 1
    assert same(of.carried(soon), of.fast())
    assert refusal(of, early) == told(of, early[preset]) + f"'q' takes a sum that arrives at clock {there}"
    reads = rows_of(of, log, "RDMAC16")
    unread = without(log, *reads[reads < preset].tolist())
    assert refusal(of, unread) == told(of, log[preset]) + "'q' takes a sum that was not read"


def test_an_operand_is_used_before_its_makers_are_done() -> None:
    of, log = run()
    own = log[:, CHANNEL] == 1
    ahead = np.concatenate([log[own], log[~own]])  # one channel before the other
    assert "are not there yet" in refusal(of, ahead)


def test_experts_are_read_that_were_not_chosen() -> None:
    of = case("mixtral", ids=IDS, **SMALL)
    chosen = of.plan.routing
    assert same(of.carried(), of.fast())

    class Others(Routing):
        def choose(self, experts: int, active: int, *where: int) -> tuple[int, ...]:
            """The others, for the second token in the second block."""
            found = chosen.choose(experts, active, *where)
            if where[0] == 2 and where[2] == 1:
                return tuple(expert for expert in range(experts) if expert not in found)[:active]
            return found

    of = case("mixtral", ids=IDS, **SMALL)
    of.plan.routing = Others(sampled=True)
    found = refusal(of, of.commands())
    assert found.endswith("'router_topk' has chosen other experts than those whose weights are read")


# -- devices -----------------------------------------------------------------------------------


def _saying_nothing(of: Case, name: str) -> Machine:
    """A machine of a device whose table does not say what a command does."""
    plan = compile_plan(of.config, of.workload)
    standard = plan.device.standard
    commands = tuple(replace(c, does=Does.NOTHING) if c.name == name else c for c in standard.commands)
    plan.device = replace(plan.device, standard=replace(standard, commands=commands))
    changed_case = replace(of)
    object.__setattr__(changed_case, "plan", plan)
    plan.tokens = of.plan.tokens
    return changed_case.machine(lambda step, values: None)


def test_a_device_that_multiplies_and_says_not_what() -> None:
    of, _ = run()
    with pytest.raises(InputError) as caught:
        _saying_nothing(of, "MACAB")
    assert "MACAB of gddr6-pim says not what it does with numbers (`Command.does`)" in str(caught.value)


@pytest.mark.parametrize("name", ["RD", "WRGB", "RDMAC", "WR"])
def test_a_command_that_moves_data_and_says_not_what(name: str) -> None:
    of, log = run()
    machine = _saying_nothing(of, name)
    first = log[np.flatnonzero(log[:, COMMAND] == number(of, name))[0]]
    with pytest.raises(CommandError) as caught:
        machine.append(*log.T)
    what = "the device's table says not what the command does with numbers (`Command.does`)"
    assert str(caught.value) == told(of, first) + what


USES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("pim-gpt", "llama", {}),
    ("pim-gpt", "gpt2", {"mapping__value_append": "all_bank", "asic__sram_KiB": 0.1}),
    ("pim-gpt", "gpt2", {"dram__write_mask": "standard"}),
    ("aim", "llama", {"pim__softmax": "banks"}),
    ("aim", "gpt2", {"mapping__value_append": "single_bank", "asic__sram_KiB": 0.1}),
    ("aim", "gpt2", {"dram__write_mask": "standard", "pim__sums": "asic", "pim__activation": "asic"}),
)


@pytest.mark.parametrize(("device", "family", "changes"), USES)
def test_every_command_that_the_layouts_ask_for_says_what_it_does(
    device: str, family: str, changes: dict[str, Any]
) -> None:
    plan = case(family, device, IDS, **(SMALL | changes)).plan
    programs = [i.work.program for part in plan.step(2, True) for i in part if i.work]
    requests = np.concatenate(programs)
    asked = {*requests[:, 1].tolist(), *requests[requests[:, 0] == LOOP, 7].tolist()} - {-1}
    commands = [plan.device.standard.commands[number] for number in asked]
    assert len(commands) >= 5
    assert [command.name for command in commands if command.does is Does.NOTHING] == []


@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
def test_what_multiplies_or_goes_over_the_pins_of_a_shipped_device_says_what_it_does(device: str) -> None:
    standard = case("llama", device, IDS).plan.device.standard
    moving = {command.name for command in standard.commands if command.moves or command.multiplies}
    saying = {command.name for command in standard.commands if command.does is not Does.NOTHING}
    assert moving <= saying
    assert all(standard.command(name).does is Does.MULTIPLY for name in saying if standard.command(name).multiplies)


# -- memory --------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
def test_what_was_never_written_is_no_number_and_reaches_no_result(device: str) -> None:
    of = case("llama", device, IDS, **SMALL)
    machine, image = (made := of.machine(lambda step, values: None)), made.image
    attention = next(o for o in of.workload.operators if o.op == "attention")
    regions = of.plan.memory.regions
    keys, values = (regions[cache_name(what, attention, 0)] for what in ("keys", "values"))

    def words(region: Any) -> Any:
        by_row = image.words.reshape(of.plan.device.channels, image.rows, -1)
        firsts = [base // image.columns for base in region.bases]
        return np.concatenate([by_row[:, first : first + region.rows].reshape(-1) for first in firsts])

    assert (words(keys) == UNWRITTEN).mean() > 0.4 and set(words(keys).tolist()) <= {0, UNWRITTEN}
    assert not words(values).any()
    machine.append(*of.commands().T)
    machine.finish()
    assert (words(keys) == UNWRITTEN).mean() > 0.4
    assert (words(keys) != UNWRITTEN).any() and words(values).any()
    assert all(np.isfinite(logits).all() for logits in of.carried())


def test_keys_that_are_written_elsewhere_are_missed() -> None:
    of, log = run()
    writes = np.flatnonzero(log[:, COMMAND] == number(of, "WR"))
    keys = next(iter(of.plan.memory.keys.values()))
    assert keys.rows
    away = log.copy()
    away[writes[0], COLUMN] = (log[writes[0], COLUMN] + 5) % of.plan.device.columns
    assert not same(of.carried(away), of.fast())


def test_commands_come_in_any_portions() -> None:
    of, log = run()
    made: dict[int, Any] = {}
    machine = of.machine(lambda step, values: made.__setitem__(step.context, values["lm_head"]))
    for first in range(0, len(log), 37):
        machine.append(*log[first : first + 37].T)
    machine.finish()
    assert machine.carried == len(log)
    assert same([np.stack([made[context].reshape(-1) for context in (1, 2)])], of.fast())
