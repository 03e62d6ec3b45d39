"""Judge an extract: Great Expectations counts, our own rules name the rows, and both must agree.

The context is ephemeral, kept per process, and told to keep quiet: no analytics, no progress bars, no values.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from include.errors import DataRejected
from include.expectations import frames, rules, structure, suites
from include.frames import Verdict
from include.mappings.schemas import schema_for

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core.batch_definition import BatchDefinition

    from include.frames import SlotExtract
    from include.mappings.schema import FeedMapping

#: Counts and percentages, and no value of any row.
COUNTS_ONLY = {"result_format": "BASIC", "include_unexpected_rows": False, "partial_unexpected_count": 0}


def verdict(extract: SlotExtract, mapping: FeedMapping) -> Verdict:
    """Find the people who may not be delivered, and every scheduled assignment's rows in the mapping.

    Raises:
        DataRejected: the extract has a structural fault: a column is missing or has another type, a key is null or
            stands twice, a reference leads nowhere.
    """
    schema = schema_for(mapping.integration)
    checks = _structure(extract)
    judged = rules.judge(extract, mapping)
    if schema.table is not None:
        completeness = suites.mapping_completeness(schema.required)
        checks += check(completeness, frames.assignments(mapping, schema, judged.mapped))
    else:
        checks += check(suites.whole_extract(), frames.counts(extract))
    if schema.delivers_people:
        matching = suites.id_matching(
            frames.id_pattern(mapping),
            roster=mapping.personnel_id_roster is not None,
            id_required=schema.missing_id == "id_missing",
        )
        checks += check(matching, judged.people)
    if extract.tallies is not None:
        of_tallies = check(suites.tallies(), frames.tallies(extract))
        _refuse([f"{each['name']}: {each['unexpected']} tally(ies)" for each in of_tallies if not each["success"]])
        checks += of_tallies
    warnings: list[str] = []
    if schema.aligned_periods and extract.span.kind == "pay_period":
        periods = frames.periods(extract)
        checks += check(suites.aligned_periods(), periods)
        warnings = frames.misaligned(periods)
    return Verdict(judged.faults, judged.mapped, tuple(checks), tuple(warnings))


def warm_up() -> None:
    """Make what every check of this process, and of the processes that it forks, needs: the context and its metrics."""
    import pandas as pd

    check(suites.structure(("key",), "key"), pd.DataFrame({"key": ["one"]}))


def check(suite: ExpectationSuite, frame: pd.DataFrame, of: str = "") -> list[dict[str, Any]]:
    """Validate ``frame`` and tell for each expectation, as plain values, what was counted.

    ``suite``, ``name`` (of ``of``, if given), ``kind`` (of the expectation), ``reason`` (of rejected rows, or null),
    ``success``, ``evaluated`` and ``unexpected`` (rows).

    Raises:
        DataRejected: an expectation could not be evaluated.
    """
    batch = _whole_frame().get_batch(batch_parameters={"dataframe": frame})
    checks = []
    for result in batch.validate(suite, result_format=COUNTS_ONLY).results:
        config = result.expectation_config
        meta = config.meta or {}
        if result.exception_info.get("raised_exception"):
            raise DataRejected(
                f"The check {suite.name}: {meta['name']} could not be evaluated.",
                next_step="look for a column that is missing or holds another type than it should",
            )
        checks.append(
            {
                "suite": suite.name,
                "name": f"{of}: {meta['name']}" if of else meta["name"],
                "kind": config.type,
                "reason": meta.get("reason"),
                "success": bool(result.success),
                "evaluated": int(result.result.get("element_count", len(frame))),
                "unexpected": int(result.result.get("unexpected_count", 0)),
            }
        )
    return checks


def _structure(extract: SlotExtract) -> list[dict[str, Any]]:
    """Check the structure of the three frames; columns first, because the rest relies on them."""
    _refuse(list(structure.missing_columns(extract)))
    checks: list[dict[str, Any]] = []
    for name in ("people", "assignments"):
        columns, key = structure.FRAMES[name]
        checks += check(suites.structure(columns, key), getattr(extract, name), name)
    _refuse([f"{each['name']}: {each['unexpected']} row(s)" for each in checks if not each["success"]])
    _refuse([*structure.broken_keys(extract), *structure.wrong_types(extract), *structure.broken_references(extract)])
    return checks


def _refuse(faults: list[str]) -> None:
    if faults:
        raise DataRejected(
            f"The extract has structural faults: {'; '.join(faults)}.",
            next_step="mend the schedule store; no row of this extract can be trusted",
        )


@cache
def _whole_frame() -> BatchDefinition[Any]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read when the library is imported
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")
