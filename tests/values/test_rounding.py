"""What logits depend on: all that is in the key decides them, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

from pimsim import load_config
from pimsim.generation.rounding import Rounding
from pimsim.generation.speaking import speaking
from pimsim.values.fast.model import Fast
from pimsim.values.weights.load import load_weights
from pimsim.values.weights.model import Weights
from tests.cli.test_every_key_matters import BASE, KEYS, LOGGED, REFUSED, change_of
from tests.conftest import SHIPPED
from tests.values.models import CONFIGS, write_model

AIM = Path(SHIPPED).parent / "aim.yaml"
IDS = [3, 17, 99, 5, 64, 2, 77, 8, 1, 120, 33, 54, 2, 9, 61, 40, 12, 7, 88, 4]
TOKENS = len(IDS)

# A vector of the small model has several pieces, and each product is rounded.
SITUATION = {"baselines": [], "pim.global_buffer_bytes": 64, "values.accumulate": "bf16"}

# What a key changes to so that a logit does.
DECIDE: Mapping[str, Any] = {
    "asic.newton_steps": 1, "asic.range_reduction": "none", "asic.taylor_terms": 1, "pim.global_buffer_bytes": 128,
    "pim.lanes": 2, "values.accumulate": "fp32", "mapping.values": "tokens",
}  # fmt: skip
# Whole columns are cut, so that a wider one may cut elsewhere; here it does not.
CUT = "dram.column_bytes"


@cache
def weights_of(family: str) -> Weights:
    folder = Path(mkdtemp())
    write_model(folder, family)
    return load_weights(folder)


def rounding_of(config: Any, family: str = "llama") -> Rounding:
    return Rounding.of(speaking(config, weights_of(family), 0, TOKENS).whole, TOKENS)


@pytest.mark.parametrize("path", [Path(SHIPPED), AIM], ids=attrgetter("stem"))
@pytest.mark.parametrize("family", CONFIGS)
def test_a_part_of_the_plan_gives_the_logits_of_the_whole_plan(family: str, path: Path) -> None:
    config = load_config(path, SITUATION)
    spoken = speaking(config, weights_of(family), 0, TOKENS)
    own = Rounding.of(spoken.whole, TOKENS).fast(weights_of(family)).feed(IDS)
    assert np.array_equal(own, Fast(spoken.whole, weights_of(family)).feed(IDS))


def test_the_level_has_nothing_of_what_is_not_in_the_key() -> None:
    rounding = rounding_of(load_config(SHIPPED, {"baselines": []}))
    for name in ("config.dram", "config.asic.clock_GHz", "config.workload", "config.pim.mac_power_mW", "units"):
        with pytest.raises(AttributeError):
            attrgetter(name)(rounding)
    for name in ("device", "operands", "routing", "tokens"):
        assert not hasattr(rounding, name)


@cache
def _measured(overrides: str) -> tuple[Any, bytes]:
    rounding = rounding_of(load_config(SHIPPED, json.loads(overrides)))
    return rounding.key, rounding.fast(weights_of("llama")).feed(IDS).tobytes()


def measured(overrides: Mapping[str, Any]) -> tuple[Any, bytes]:
    """The key of a configuration, and its logits."""
    source = {"workload.model": None} if "workload.model_config" in overrides else {}
    return _measured(json.dumps({**BASE, **source, **SITUATION, **overrides}))


# Number formats, where a product in any of them fits into the buffer.
FORMATS = (
    "pim.formats", "pim.scales", "workload.weight_format", "workload.weight_group", "workload.kv_format",
    "workload.activation_format",
)  # fmt: skip
# They decide what runs of a schedule, for which no tokens are computed.
OF_SCHEDULES = ("workload.acceptance", "workload.acceptance_seed")
# The same of several devices, and of another machine.
OF_OTHERS = tuple(key for key in KEYS if key.startswith(("system.", "placement.")))


@pytest.mark.parametrize("key", sorted(set(KEYS) - {*REFUSED, *DECIDE, CUT, *OF_SCHEDULES, *OF_OTHERS, *FORMATS}))
def test_a_key_of_the_configuration_that_is_not_in_the_key_changes_no_logit(key: str) -> None:
    change = LOGGED.get(key) or change_of(key)
    assert measured(change.given) == measured({**change.given, key: change.to})


@pytest.mark.parametrize("key", DECIDE)
def test_a_key_of_the_configuration_that_changes_a_logit_is_in_the_key(key: str) -> None:
    (before, logits), (after, others) = measured({}), measured({key: DECIDE[key]})
    assert logits != others
    assert before != after


@pytest.mark.parametrize("key", FORMATS)
def test_a_number_format_changes_a_logit_and_is_in_the_key(key: str) -> None:
    change = change_of(key)
    before = {"pim.global_buffer_bytes": 2048, **change.given}
    (one, logits), (other, others) = measured(before), measured({**before, key: change.to})
    assert logits != others
    assert one != other


def test_layouts_that_cut_vectors_elsewhere_have_other_keys() -> None:
    assert measured({})[0] != measured({CUT: 64})[0]
    tokens = {"mapping.values": "tokens"}
    assert measured(tokens)[0] != measured({})[0]
    assert measured({**tokens, "dram.channels": 1}) == measured({})  # one channel has all tokens
    assert measured({"schedule": "paper"})[0] == measured({"schedule": "overlap", "dram.channels": 2})[0]
    assert rounding_of(load_config(SHIPPED, SITUATION)).key == rounding_of(load_config(SHIPPED, SITUATION)).key
    assert rounding_of(load_config(SHIPPED, SITUATION)).key != rounding_of(load_config(AIM, SITUATION)).key
