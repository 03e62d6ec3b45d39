"""Records whose texts the feed's encoding cannot write: their slots are rejected, so that the others are delivered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from include.frames import Transformed
    from include.mappings.schema import Layout, RecordField


def only_writable(result: Transformed, fields: Mapping[str, RecordField], layout: Layout | None) -> Transformed:
    """Reject (``value_refused``) the slots of records with a text that the layout's encoding lacks a character for.

    ``fields``: the integration's record fields. The detail names the field. A slot of several records is rejected
    whole, so that its decision is true of each of them.
    """
    if layout is None or layout.encoding.startswith("utf-8"):
        return result
    blame: dict[str, str] = {}
    texts = dict.fromkeys(column.field for column in layout.columns)
    for name in texts:
        if name in fields and fields[name].type == "text" and name in result.records.columns:
            wrong = _unwritable(result.records[name], layout.encoding)
            for slot_id in result.records.loc[wrong, "slot_id"]:
                blame.setdefault(slot_id, f"The field {name} has a character that {layout.encoding} lacks.")
    if not blame:
        return result
    decisions = result.decisions.copy()
    hit = decisions["slot_id"].isin(blame)
    decisions.loc[hit, "outcome"] = "rejected"
    decisions.loc[hit, "reason"] = "value_refused"
    decisions.loc[hit, "detail"] = decisions.loc[hit, "slot_id"].map(blame)
    kept = result.records.loc[~result.records["slot_id"].isin(blame)].reset_index(drop=True)
    return replace(result, decisions=decisions, records=kept)


def _unwritable(values: pd.Series[Any], encoding: str) -> pd.Series[bool]:
    def cannot(text: str) -> bool:
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            return True
        return False

    judged = {text: cannot(text) for text in values.dropna().unique()}
    return values.map(judged).fillna(value=False).astype(bool)
