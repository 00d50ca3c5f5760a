"""Each component's price against arithmetic by hand, for the shipped currents at a clock of 1 ns."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from pimsim.config.schema import Config
from pimsim.devices.registry import resolve
from pimsim.energy.formulas import COMPONENTS, FORMULAS, OUTSIDE
from pimsim.energy.model import MachinePower, Prices, action_costs, price, usual_activation_pJ
from pimsim.energy.table import load_table
from pimsim.errors import InputError
from pimsim.sim.tally import OperatorTally, Tally, TallyError
from tests.result_samples import small_config, small_tally

# 1.25 V; IDD0 122, IDD2N 92, IDD3N 142, IDD4R 530, IDD4W 470, IDD5B 277 mA; tRC 40, tRFC 455, tCCDS and tMAC 1 ns
BY_HAND = {
    "activation": 1.25 * (122 - 92) * 40,
    "mac_read": 3 * 1.25 * (530 - 142) * 1,
    "mac_units": 149.29 * 1.5 * 1,
    "column_read": 1.25 * (530 - 142) * 1,
    "column_write": 1.25 * (470 - 142) * 1,
    "io": 5.5,
    "refresh": 1.25 * (277 - 92) * 455,
    "standby_active": 1.25 * 142,
    "standby_precharged": 1.25 * 92,
    # 256 adders, 128 multipliers, 2 ports of 256 bytes, each used in a tenth of the clocks of 1 ns
    "asic_add": 304.59 * 0.017 / 25.6,
    "asic_multiply": 304.59 * 0.0125 / 12.8,
    "asic_sram": 304.59 * 0.025 / 51.2,
    "asic_idle": 304.59 * (1 - 0.017 - 0.0125 - 0.025),
    "link": 5.0,
    # no machine stands beside the memory
    "machine_idle": 0.0,
    "machine_work": 0.0,
}


@pytest.mark.parametrize("price", BY_HAND)
def test_one_action_costs_what_its_formula_gives_by_hand(price: str) -> None:
    assert float(action_costs(small_config())[price]) == pytest.approx(BY_HAND[price], rel=1e-12)


def test_every_component_has_one_documented_formula() -> None:
    assert [formula.name for formula in FORMULAS] == list(BY_HAND)
    assert set(action_costs(small_config())) == set(BY_HAND)
    assert list(COMPONENTS) == [*list(BY_HAND)[:9], "asic", "link", "machine"]
    for formula in FORMULAS:
        assert formula.count and formula.formula and formula.scale and formula.symbols and formula.source in (
            "paper", "recalled", "adjacent", "derived", "assumed"
        )  # fmt: skip


# counts of `small_tally`: 10 ACTAB on 16 banks and 16 ACT; 400 MACAB; 32 WR; 2560 + 1024 bytes; 3 REFAB;
# 5,300 of 8 x 1,000 channel clocks open
TOTALS = {
    "activation": (10 * 16 + 16) * 1500.0,
    "mac_read": 400 * 1455.0,
    "mac_units": 400 * 223.935,
    "column_read": 0.0,
    "column_write": 32 * 410.0,
    "io": 3584 * 8 * 5.5,
    "refresh": 3 * 105_218.75,
    "standby_active": 5300 * 177.5,
    "standby_precharged": 2700 * 115.0,
    "asic": 700 * 0.202266796875 + 800 * 0.297451171875 + 1000 * 287.989845,
}


@pytest.mark.parametrize("component", TOTALS)
def test_a_tally_costs_its_counts_times_the_price_of_one(component: str) -> None:
    breakdown = price(small_tally(), Prices.of(small_config()))
    assert breakdown.components_pJ()[component] == pytest.approx(TOTALS[component], rel=1e-12)


def test_bytes_on_links_cost_their_bits_and_without_any_there_is_no_such_component() -> None:
    tally, prices = small_tally(), Prices.of(small_config())
    rows = [replace(tally.rows[0], moved_bytes=1000), *tally.rows[1:]]
    assert price(replace(tally, rows=rows), prices).components_pJ()["link"] == 8 * 1000 * 5.0
    assert list(price(tally, prices).components_pJ()) == [name for name in COMPONENTS if name not in OUTSIDE]


def test_a_machine_beside_the_memory_costs_its_time_at_work_and_its_idle_power() -> None:
    tally = small_tally()
    rows = [replace(row, outside_cycles=20) if row.operator == "softmax" else row for row in tally.rows]
    prices = Prices.of(small_config()).beside(MachinePower(70, 700, {"softmax": Fraction(1, 2)}))
    found = price(replace(tally, rows=rows), prices).components_pJ()
    assert found["machine"] == 1000 * (70 * tally.cycles + (700 - 70) * 20 / 2)


def test_rows_sum_to_the_total_exactly() -> None:
    breakdown = price(small_tally(prefill=True), Prices.of(small_config()))
    rows = sum(sum(row.components.values()) for row in breakdown.rows)
    assert rows == sum(breakdown.exact().values())
    assert breakdown.total_pJ() == float(rows)


def test_phases_sum_to_the_total_exactly() -> None:
    breakdown = price(small_tally(prefill=True), Prices.of(small_config()))
    parts = [sum(breakdown.exact(phase).values()) for phase in ("prefill", "decode")]
    assert min(parts) > 0
    assert sum(parts) == sum(breakdown.exact().values())


def test_a_row_pays_for_its_own_commands_and_a_share_of_standby_by_its_latency() -> None:
    rows = {row.operator: row.components for row in price(small_tally(), Prices.of(small_config())).rows}
    assert rows["kv_write"]["column_write"] == 32 * 410
    assert rows["qkv"]["column_write"] == 0
    assert rows["softmax"]["standby_active"] == Fraction(4, 100) * 5300 * Fraction("177.5")
    idle, add, multiply = (Fraction(x) for x in ("287.989845", "0.202266796875", "0.297451171875"))
    assert rows["qkv"]["asic"] == 900 * idle
    assert rows["softmax"]["asic"] == 40 * idle + 700 * add + 800 * multiply


def test_banks_that_stay_open_past_their_operator_make_no_energy_negative() -> None:
    tally = small_tally()
    longer = replace(tally.rows[1], open_cycles=8 * tally.rows[1].cycles + 7)
    breakdown = price(replace(tally, rows=[tally.rows[0], longer, tally.rows[2]]), Prices.of(small_config()))
    assert all(value >= 0 for row in breakdown.rows for value in row.components.values())


def test_banks_open_for_longer_than_the_run_are_refused() -> None:
    tally = small_tally()
    rows = [replace(tally.rows[0], open_cycles=8001), *tally.rows[1:]]
    with pytest.raises(TallyError, match="open for"):
        price(replace(tally, rows=rows), Prices.of(small_config()))


def test_a_per_bank_refresh_costs_a_bank_s_share_of_an_all_bank_refresh() -> None:
    def refresh_pJ(command: str) -> float:
        row = OperatorTally("decode", "qkv", 1, 10, {"refresh": 10}, {command: 16}, 0)
        return price(Tally(10, 0, 1000, {command: 16}, [row], []), Prices.of(small_config())).components_pJ()["refresh"]

    assert refresh_pJ("REFPB") == 105_218.75
    assert refresh_pJ("REFAB") == 16 * 105_218.75


def test_precharge_buffer_write_and_result_read_cost_nothing_of_their_own() -> None:
    commands = {"PRE": 5, "PREAB": 5, "WRGB": 5, "RDMAC": 5}
    row = OperatorTally("decode", "qkv", 1, 10, {"mac": 10}, commands, 0)
    energy = price(Tally(10, 0, 1000, commands, [row], []), Prices.of(small_config())).components_pJ()
    assert {name for name, value in energy.items() if value} == {"standby_precharged", "asic"}


def test_a_command_without_a_price_is_refused() -> None:
    row = OperatorTally("decode", "qkv", 1, 10, {"mac": 10}, {"MAGIC": 1}, 0)
    with pytest.raises(InputError, match="MAGIC"):
        price(Tally(10, 0, 1000, {"MAGIC": 1}, [row], []), Prices.of(small_config()))


def test_usual_activation_formula_is_negative_for_the_shipped_currents_and_not_reported() -> None:
    config = small_config()
    by_hand = 1.25 * (122 * 40 - 142 * 28 - 92 * 12)
    assert by_hand == -250
    assert usual_activation_pJ(config) == by_hand
    assert price(small_tally(), Prices.of(config)).activation_usual_pJ is None


def test_usual_activation_formula_is_reported_where_it_is_positive() -> None:
    # DRAMsim3's GDDR6_8Gb_x16: IDD0 71, IDD2N 60, IDD3N 61 mA
    config = small_config(dram__power__IDD0_mA=71, dram__power__IDD2N_mA=60, dram__power__IDD3N_mA=61)
    by_hand = 1.25 * (71 * 40 - 61 * 28 - 60 * 12)
    assert price(small_tally(), Prices.of(config)).activation_usual_pJ == by_hand == 515


def with_power(config: Config, **currents: int) -> Config:
    """Currents that the rules of the configuration would refuse before."""
    power = config.dram.power.model_copy(update=currents)
    return config.model_copy(update={"dram": config.dram.model_copy(update={"power": power})})


@pytest.mark.parametrize(
    ("currents", "keys"),
    [
        ({"IDD0_mA": 91}, ["dram.power.IDD0_mA"]),
        ({"IDD4R_mA": 141}, ["dram.power.IDD4R_mA"]),
        ({"IDD4W_mA": 141}, ["dram.power.IDD4W_mA"]),
        ({"IDD5B_mA": 91}, ["dram.power.IDD5B_mA"]),
        ({"IDD0_mA": 1, "IDD5B_mA": 1}, ["dram.power.IDD0_mA", "dram.power.IDD5B_mA"]),
    ],
)
def test_negative_terms_are_refused_all_at_once_by_key(currents: dict[str, int], keys: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        action_costs(with_power(small_config(), **currents))
    assert [problem.key for problem in caught.value.problems] == keys


def test_column_energy_does_not_grow_when_the_pins_are_slow() -> None:
    slow = small_config(dram__io__data_rate_Gbps=2)
    assert resolve(slow.dram, slow.pim).cycles["nBL"] == 8
    assert action_costs(slow)["column_read"] == 485


def test_prices_do_not_follow_the_clock_that_timings_are_rounded_up_to() -> None:
    # at 570 ps tRC is 71 clocks, 40.47 ns; the current was measured at 40 ns
    assert action_costs(small_config(dram__tCK_ps=570))["activation"] == Fraction("37.5") * 40


def test_v1_and_v2_differ_in_the_two_stated_terms_only() -> None:
    config = small_config()
    v1, v2 = (action_costs(config, load_table(name)) for name in ("v1", "v2"))
    assert {name for name in v1 if v1[name] != v2[name]} == {"mac_read", "mac_units"}
    assert v2["mac_read"] == 3 * v1["mac_read"]
    assert v2["mac_units"] == Fraction(3, 2) * v1["mac_units"]


def test_the_table_of_the_configuration_is_used() -> None:
    config = small_config(energy__table="v1")
    assert action_costs(config) == action_costs(config, load_table("v1")) != action_costs(config, load_table("v2"))
