"""One point of a sweep: a configuration in, a flat row of plain values out; never an exception.

A row is a dict with one value per column, the same from every process and machine:
`point_id`, `status`, `error`, then the summary's figures by dotted key
(`system.latency_per_token_ns`, `baselines.gpu-t4.speedup`), and its warnings.  No column tells how long
the simulation took.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pimsim
from pimsim import api
from pimsim.api import Keep, anew
from pimsim.config.resolved import config_sha256
from pimsim.config.schema import AnyConfig, Config
from pimsim.config.validate import validate
from pimsim.errors import InputError
from pimsim.results.named import single_values
from pimsim.sweep.proxy import PROXIES
from pimsim.sweep.space import PointRequest
from pimsim.workload.graph import Workload
from pimsim.workload.models import build
from pimsim.workload.source import with_model

Row = dict[str, Any]

OK = "ok"  # simulated
INFEASIBLE = "infeasible"  # no such system: the configuration is refused
FAILED = "failed"  # not the input's fault: no memory, a full disk, a process that died, a fault of the program
STATUSES = (OK, INFEASIBLE, FAILED)
_AGAIN_S = 0.5  # before a point that the environment stopped is tried once more


def evaluate_point(config: AnyConfig, keep: Keep = anew) -> Row:
    """The row of a configuration; a refused one is `infeasible`, anything else that goes wrong `failed`.

    keep: who has parts of points before; it changes no row.
    """
    return _evaluate(config, keep, checked=False)


def _evaluate(config: AnyConfig, keep: Keep, checked: bool, graph: Workload | None = None) -> Row:
    try:
        try:
            summary = api.run_keeping(config, keep, checked, graph).summary
        except (MemoryError, OSError):  # of this moment, perhaps
            time.sleep(_AGAIN_S)
            summary = api.run_keeping(config, keep, checked, graph).summary
    except InputError as error:
        return _bad(config_sha256(config), INFEASIBLE, _problems(error))
    except Exception as error:
        return _bad(config_sha256(config), FAILED, describe(error))
    row: Row = {"point_id": point_id(summary["config_sha256"], summary["trace_sha256"]), "status": OK, "error": None}
    row |= {f"proxy.{name}": proxy(api.language_model(config)) for name, proxy in PROXIES.items()}
    row |= {key: summary[key] for key in ("config_sha256", "trace_sha256")}
    return row | dict(single_values(summary)) | {"warnings": "; ".join(summary["warnings"]) or None}


def evaluate_request(request: PointRequest, keep: Keep = anew) -> Row:
    """As `evaluate_point`, of a configuration that is not validated."""
    graph = None
    try:
        config = config_of(request)
        if request.shape and isinstance(config, Config):
            config = with_model(config, request.shape)
            graph = keep("graph", request.shape, partial(build, request.shape, lm_head=True))
    except InputError as error:
        return _bad(_values_sha256(request), INFEASIBLE, _problems(error))
    except Exception as error:
        return _bad(_values_sha256(request), FAILED, describe(error))
    return _evaluate(config, keep, checked=True, graph=graph)


def config_of(request: PointRequest) -> AnyConfig:
    """The configuration that a request describes; InputError as `validate`."""
    if request.table:  # this process may not know it yet
        api.read_table(request.table)
    config = validate(request.values, api.known_names())
    if request.trace and isinstance(config, Config):
        config.workload.found_at(request.trace)
    if isinstance(config, Config):
        config.found_at(request.machines)
        config.energy.found_at(request.energy)
    return config


def lost_row(request: PointRequest) -> Row:
    """The row of a point whose process died each time that it was tried."""
    return _bad(_values_sha256(request), FAILED, "the process that simulated it died each time")


def refused_row(request: PointRequest, message: str) -> Row:
    """The row of a point that is not simulated because of `message`."""
    return _bad(_values_sha256(request), INFEASIBLE, message)


def point_id(config_digest: str, trace_digest: str = "") -> str:
    """What a point is: SHA-256 of its resolved configuration, its operators and pimsim's version."""
    return hashlib.sha256(json.dumps([config_digest, trace_digest, pimsim.__version__]).encode()).hexdigest()


def with_figures(row: Row, make: Callable[[], Row]) -> Row:
    """A row with more figures, which `make` makes, of a point that was simulated; what goes wrong is as of a point."""
    if row["status"] != OK:
        return row
    try:
        figures = make()
    except InputError as error:
        return {"point_id": row["point_id"], "status": INFEASIBLE, "error": _problems(error)}
    except Exception as error:
        return {"point_id": row["point_id"], "status": FAILED, "error": describe(error)}
    warnings = row.pop("warnings")  # they come last
    return {**row, **figures, "warnings": warnings}


def describe(error: Exception) -> str:
    """An exception on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _bad(digest: str, status: str, error: str) -> Row:
    return {"point_id": point_id(digest), "status": status, "error": error}


def _problems(error: InputError) -> str:
    """The problems without their place in a file, which depends on who runs the sweep from where."""
    return "; ".join(": ".join(filter(None, (problem.key, problem.message))) for problem in error.problems)


def _values_sha256(request: PointRequest) -> str:
    text = json.dumps(request.values, sort_keys=True, separators=(",", ":"), default=_decimal)
    return hashlib.sha256(text.encode()).hexdigest()


def _decimal(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    raise TypeError(f"no value of a configuration: {value!r}")
