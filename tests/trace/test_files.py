"""Traces to files and back: nothing is lost, and the same trace gives the same bytes."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given

from pimsim.workload.trace.decode import record_of
from pimsim.workload.trace.reader import Broken, Findings, load_trace, read_records
from pimsim.workload.trace.records import Template, Trace
from pimsim.workload.trace.schema import json_schema
from pimsim.workload.trace.writer import dump_trace, records_of, write_trace
from tests.conftest import Write
from tests.trace.traces import SMALL, TRACES, text_of, traces, with_extra_in

SHIPPED = sorted(TRACES.glob("*.jsonl"))
SCHEMA = jsonschema.Draft202012Validator(json_schema())


@given(traces())
def test_any_record_is_read_as_it_was_written(trace: Trace) -> None:
    for record, line in zip(records_of(trace), dump_trace(trace).splitlines(), strict=True):
        expected = replace(record, ops=()) if isinstance(record, Template) else record
        assert record_of(json.loads(line), 0, trace.header.weights, True, trace.header.model) == expected


@given(traces())
def test_the_schema_holds_for_what_is_written(trace: Trace) -> None:
    for line in dump_trace(trace).splitlines():
        SCHEMA.validate(json.loads(line))


@given(traces())
def test_files_have_no_problem_in_any_line_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, trace: Trace
) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace.jsonl"
    write_trace(trace, path)
    findings = Findings(str(path))
    read = [record for record, _ in read_records(path, findings)]
    assert not findings.problems
    assert not any(isinstance(record, Broken) for record in read)
    assert read[0] == next(records_of(trace))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_traces_are_written_as_they_are(path: Path, tmp_path: Path) -> None:
    write_trace(load_trace(path), tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == path.read_bytes()


def test_gzip_by_suffix_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    trace = load_trace(SHIPPED[0])
    one, other = write_trace(trace, tmp_path / "one.jsonl.gz"), write_trace(trace, tmp_path / "other.gz")
    assert one.read_bytes() == other.read_bytes()
    assert gzip.decompress(one.read_bytes()) == SHIPPED[0].read_bytes()
    assert load_trace(one) == trace


def test_gzip_members_behind_each_other_are_one_file(write: Write) -> None:
    lines = [gzip.compress(f"{line}\n".encode()) for line in SMALL]
    assert load_trace(write(b"".join(lines), "t.gz")) == load_trace(write(text_of(), "t.jsonl"))


@pytest.mark.parametrize(
    ("line", "path"),
    [(0, ()), (0, ("model",)), (0, ("data_types",)), (1, ("repeat",)), (2, ("weight",)), (3, ("head_groups", "0"))],
)
def test_unknown_keys_are_kept_in_their_place_and_told(write: Write, line: int, path: tuple[str, ...]) -> None:
    values = [json.loads(text) for text in SMALL]
    with_extra_in(values[line], *path)
    trace = load_trace(write("\n".join(json.dumps(value) for value in values), "t.jsonl"))
    [warning] = trace.warnings
    assert (warning.line, warning.key) == (line + 1, ".".join((*path, "unheard_of")))
    assert "unknown key, kept" in warning.message
    again = json.loads(dump_trace(trace).splitlines()[line])
    plain = json.loads(dump_trace(load_trace(write(text_of(), "plain.jsonl"))).splitlines()[line])
    assert again == with_extra_in(plain, *path)


def test_a_newer_minor_version_is_kept_and_told(write: Write) -> None:
    trace = load_trace(write(text_of(('"version":"1.0"', '"version":"1.9"')), "t.jsonl"))
    assert [warning.key for warning in trace.warnings] == ["version"]
    assert trace.header.version == "1.9"
    assert '"version":"1.9"' in dump_trace(trace)


@pytest.mark.parametrize("change", [('"in":8', '"in":"8 8 %"'), ('"op":"linear"', '"op":"lin"'), ('"deps"', '"debs"')])
def test_the_schema_refuses_lines_that_are_wrong(change: tuple[str, str]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(json.loads(text_of(change).splitlines()[2]))
