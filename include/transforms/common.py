"""What the transforms share: the common decisions, wall times, one-line texts, call order, location and record keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from include.frames import misalignment
from include.reasons import REASONS
from include.transforms.decisions import Decisions
from include.transforms.lines import day_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from include.mappings.schema import FeedMapping, MappingSchema
    from include.transforms.lines import Lines

_NAMES = tuple(REASONS)
_CLEAN = len(_NAMES)

#: Blanks, control characters and Unicode's line and paragraph separators, in any number.
_GAP = "[\x00-\x20\x7f-\x9f\u2028\u2029]+"
_DAY = 86_400 * 1_000_000  # microseconds
_SINCE_1973 = 1096 * _DAY
#: What :func:`one_line` would change: everything above except single blanks inside.
_UNTIDY = "[\x00-\x1f\x7f-\x9f\u2028\u2029]|  |^ | $"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that keeps lines from being delivered.

    ``lines``: a mask with one entry per line. ``detail``: what exactly, without a person's data; one text, or a Series
    with one for each line.
    """

    reason: str
    lines: Any
    detail: Any = None


def common_findings(lines: Lines, schema: MappingSchema) -> Iterator[Finding]:
    """Whatever keeps slots from any partner: the slot itself, its person, its assignment's mapping, its times."""
    holder = lines.slot("emp_id").notna()
    yield Finding("swap_pending", is_true(lines.slot("is_pending")))
    if not schema.delivers_open_shifts:
        yield Finding("open_shift", ~holder)
    if not schema.delivers_placeholders:
        yield Finding("placeholder", is_true(lines.person("is_placeholder")))
    if schema.missing_id == "opted_out":  # whatever else is said of the slot: who has no ID takes no part
        yield Finding("opted_out", holder & lines.person("personnel_id").isna())
    if not schema.delivers_inactive:
        yield Finding("person_inactive", holder & ~is_true(lines.person("active")))
    for reason in lines.mapping_reason.dropna().unique():
        detail = lines.missing_fields(schema.required) if reason == "mapping_incomplete" else None
        yield Finding(reason, lines.mapping_reason.eq(reason).fillna(value=False), detail)
    of_person = lines.person_reason()
    for reason in of_person.dropna().unique():
        yield Finding(reason, of_person.eq(reason).fillna(value=False))
    if lines.span.kind == "pay_period":
        yield Finding("outside_pay_period", ~within_days(lines))
    lasts = lines.slot("stop_utc") > lines.slot("start_utc")
    yield Finding("invalid_time", ~is_true(lasts))


def decide(lines: Lines, findings: Iterable[Finding], notes: Iterable[Finding] = ()) -> tuple[pd.DataFrame, Lines]:
    """Decide about every slot.

    A line is left out for the reason that comes first in :data:`include.reasons.REASONS`. A slot counts once, whatever
    its lines; the worst outcome wins: rejected if any of its lines is, else included if any is clean, else excluded;
    its reason is the first of the lines with that outcome. A rejected slot is delivered to none of its targets, so that
    its decision is true at each of them; of an included slot, the clean lines are.

    ``notes`` keep nothing from being delivered: they are told about the slots that are.

    Returns:
        the decisions (``slot_id``, ``outcome``, ``reason``, ``detail``, ``also``; one row per slot, by slot ID) and the
        lines to deliver. ``also`` names what else would keep a slot that is left out, in order of precedence; of an
        included one, ``also`` and ``detail`` are its notes.
    """
    import numpy as np

    rank, detail, found = _first_reasons(lines, findings)
    clean = rank == _CLEAN
    rejected = np.array([*(reason.outcome == "rejected" for reason in REASONS.values()), False])[rank]
    refused, deliverable = _slots_of(lines, rejected), _slots_of(lines, clean)
    tells = rejected | ~(refused | deliverable)[lines.slot_places]  # the lines whose reason is their slot's
    decisions = Decisions(lines.slots)
    for place in np.unique(rank[tells]):
        name, hit = _NAMES[place], tells & (rank == place)
        of_slot = np.full(len(lines.slots), None, dtype=object)
        # From the last line to the first, so that the first line of a slot tells what is wrong with it.
        of_slot[lines.slot_places[hit][::-1]] = detail[hit][::-1]
        choose = decisions.exclude if REASONS[name].outcome == "excluded" else decisions.reject
        choose(_slots_of(lines, hit), name, of_slot if detail[hit].any() else None)
    decided = decisions.finish()
    decided = decided.assign(also=_other_reasons(lines, found, decided))
    delivered = clean & ~refused[lines.slot_places]
    for note in notes:
        hit = np.asarray(note.lines, dtype=bool) & delivered
        decided = _noted(decided, lines, replace(note, lines=hit))
    return decided, lines.only(delivered)


def _first_reasons(
    lines: Lines, findings: Iterable[Finding]
) -> tuple[NDArray[np.int64], NDArray[np.object_], NDArray[np.int64]]:
    """For each line its first reason's place in REASONS (``_CLEAN``: none), its detail, and all places as bits."""
    import numpy as np
    import pandas as pd

    rank = np.full(len(lines), _CLEAN)
    detail = np.full(len(lines), None, dtype=object)
    found = np.zeros(len(lines), dtype="int64")
    for finding in findings:
        place = _NAMES.index(finding.reason)
        hit = np.asarray(finding.lines, dtype=bool)
        found[hit] |= 1 << place
        earlier = hit & (place < rank)
        rank[earlier] = place
        said = finding.detail
        detail[earlier] = said.to_numpy(dtype=object)[earlier] if isinstance(said, pd.Series) else said
    return rank, detail, found


def _other_reasons(lines: Lines, found: NDArray[np.int64], decided: pd.DataFrame) -> pd.Series[str]:
    """For each slot that is left out, what was found about its lines beside its reason; null for nothing.

    ``found``: for each line the places in REASONS of what was found about it, as bits.
    """
    import numpy as np
    import pandas as pd

    of_slots = np.zeros(len(lines.slots), dtype="int64")
    np.bitwise_or.at(of_slots, lines.slot_places, found)
    told = decided["reason"].map({name: 1 << place for place, name in enumerate(_NAMES)}).fillna(-1).astype("int64")
    others, patterns = pd.factorize(of_slots & ~told.to_numpy())
    words = [", ".join(name for place, name in enumerate(_NAMES) if bits >> place & 1) or None for bits in patterns]
    return pd.Series(pd.array(words, dtype="str").take(others), index=decided.index)


def _noted(decided: pd.DataFrame, lines: Lines, note: Finding) -> pd.DataFrame:
    """The decisions with one note about the slots of its lines; of several lines of a slot, the first tells."""
    import pandas as pd

    told = pd.Series(note.detail, index=range(len(lines)), dtype="str")[note.lines]
    by_slot = pd.Series(told.to_numpy(), index=lines.slot("slot_id")[note.lines], dtype="str")
    by_slot = by_slot[~by_slot.index.duplicated()]
    hit = decided["slot_id"].isin(by_slot.index)
    also = phrases(decided["also"], pd.Series(note.reason, index=decided.index, dtype="str").where(hit), between=", ")
    detail = phrases(decided["detail"], decided["slot_id"].map(by_slot).astype("str"), between="; ")
    return decided.assign(also=also, detail=detail)


def _slots_of(lines: Lines, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which slots have a line in the mask."""
    import numpy as np

    slots = np.zeros(len(lines.slots), dtype=bool)
    slots[lines.slot_places[mask]] = True
    return slots


def records(schema: MappingSchema, included: Lines, fields: Mapping[str, Any]) -> pd.DataFrame:
    """Put together what the partner should hold, ordered by key.

    ``fields``: the record's fields by name, one entry per line; beside them ``start_utc`` and ``stop_utc`` where
    records are about parts of their slots. Columns of the answer: ``key``, ``slot_id``, ``start_utc``, ``stop_utc``,
    then the fields in the schema's order.
    """
    import pandas as pd

    frame = pd.DataFrame(
        {
            "key": record_key(*(fields[name] for name in schema.key)),
            "slot_id": included.slot("slot_id"),
            "start_utc": fields.get("start_utc", included.slot("start_utc")),
            "stop_utc": fields.get("stop_utc", included.slot("stop_utc")),
            **{name: fields[name] for name in schema.record if name in fields},
        }
    )
    return frame.sort_values("key", kind="stable", ignore_index=True)


def record_key(*parts: pd.Series[Any]) -> pd.Series[str]:
    r"""Join the parts of a key so that different parts never make the same key.

    Parts are parted by ``|``; inside a part ``\`` and ``|`` are escaped by ``\``, and null is ``\N``.
    """
    key: Any = None
    for part in parts:
        text = part.astype("str").str.replace("\\", "\\\\", regex=False).str.replace("|", "\\|", regex=False)
        text = text.fillna("\\N")
        key = text if key is None else key + "|" + text
    return key  # type: ignore[no-any-return] # pandas' stubs do not know the sum of two Series[str]


def zones(lines: Lines, mapping: FeedMapping, *, field: str | None = None) -> pd.Series[str]:
    """Name the IANA zone of each line's wall times: the mapping row's ``field``, the feed's, or the department's."""
    import pandas as pd

    if mapping.time_zone is None:
        zone = lines.assignment("time_zone")
    else:
        zone = pd.Series([mapping.time_zone] * len(lines), dtype="str")
    if field is None:
        return zone
    own = lines.row(field)
    return own.where(own.notna(), zone)


def wall_times(instants: pd.Series[Any], zone: pd.Series[str]) -> pd.Series[Any]:
    """Tell what a clock on the wall shows, in each line's zone, at its instant.

    ``instants``: UTC. The answer is naive (``datetime64[us]``), without a mark of which of the two hours of a fall-back
    night is meant; the instant beside it tells.
    """
    import numpy as np
    import pandas as pd

    micros = pd.Series(instants.dt.tz_convert(None).astype("datetime64[us]")).to_numpy().astype("int64")
    offsets = np.zeros(len(micros), dtype="int64")
    codes, names = pd.factorize(zone)
    for code, name in enumerate(names):
        here = codes == code
        offsets[here] = _offsets(micros[here], name)
    return pd.Series((micros + offsets).astype("datetime64[us]"))


def _offsets(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """How far a zone's clock is ahead of UTC at each moment; all in microseconds, as ``zoneinfo`` says.

    A day (of UTC) at whose ends the clock is as far ahead has no change in between, since 1973: no zone has changed
    its clock twice within one. Only the moments of other days are asked one by one.
    """
    import numpy as np
    import pandas as pd

    places, days = pd.factorize(moments // _DAY)
    begins, ends = _asked(days * _DAY, zone), _asked((days + 1) * _DAY, zone)
    offsets: NDArray[np.int64] = begins[places]
    changes = ((begins != ends) | (days * _DAY < _SINCE_1973))[places]
    places, distinct = pd.factorize(moments[changes])
    offsets[changes] = _asked(np.asarray(distinct), zone)[places]
    return offsets


def _asked(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    import datetime as dt
    from zoneinfo import ZoneInfo

    import numpy as np

    epoch, tz = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), ZoneInfo(zone)
    known = [(epoch + dt.timedelta(microseconds=int(moment))).astimezone(tz).utcoffset() for moment in moments]
    return np.array([offset // dt.timedelta(microseconds=1) if offset else 0 for offset in known], dtype="int64")


def dates(values: pd.Series[Any]) -> pd.Series[Any]:
    """Calendar dates as Arrow's ``date32``, whatever held them."""
    import pandas as pd
    import pyarrow as pa

    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(day_numbers(values), pa.int32()).cast(pa.date32())))


def hours_between(start: pd.Series[Any], stop: pd.Series[Any]) -> pd.Series[Any]:
    """Count the elapsed hours, to the nearest hundredth (half up); a fall-back night has one more than its clock."""
    seconds = (stop - start).dt.total_seconds().astype("int64")
    return ((seconds * 100 + 1800) // 3600) / 100


def one_line(texts: pd.Series[Any]) -> pd.Series[str]:
    """Make each text one line: line breaks, tabs, control characters and runs of blanks become one blank; ends trimmed.

    What is then empty becomes null. All other characters stay as they are.
    """
    import re

    import pandas as pd

    texts = texts.astype("str")
    untidy = texts.str.contains(_UNTIDY, regex=True, na=False) | texts.eq("").fillna(value=False)
    if not untidy.any():
        return texts
    gap = re.compile(_GAP)
    tidy = [gap.sub(" ", text).strip(" ") or None for text in texts[untidy]]
    tidied = texts.to_numpy(dtype=object, copy=True)
    tidied[untidy.to_numpy(dtype=bool)] = tidy
    return pd.Series(tidied, index=texts.index, dtype="str")


def phrases(*parts: pd.Series[str], between: str = " ") -> pd.Series[str]:
    """Join the parts that are there; null where there is none."""
    text = parts[0]
    for part in parts[1:]:
        text = (text + between + part).where(text.notna() & part.notna(), text.where(text.notna(), part))
    return text


def shortened(texts: pd.Series[str], lengths: int | pd.Series[Any]) -> pd.Series[str]:
    """Cut each text to its number of characters, and the blanks that then stand at its end; nothing left is null."""
    import pandas as pd

    lengths = pd.Series(lengths, index=texts.index)
    long = (texts.str.len() > lengths).fillna(value=False).to_numpy(dtype=bool)
    cut = texts.to_numpy(dtype=object, copy=True)
    pairs = zip(cut[long], lengths[long], strict=True)
    cut[long] = [text[: max(int(length), 0)].rstrip(" ") or None for text, length in pairs]
    return pd.Series(cut, index=texts.index, dtype="str")


def call_order(lines: Lines) -> pd.Series[Any]:
    """Who is called first (``Int64``): the mapping row's word, else the slot's, else the assignment's."""
    order = lines.row("call_order").astype("Int64")
    for other in (lines.slot("call_order"), lines.assignment("call_order")):
        order = order.fillna(other.astype("Int64"))
    return order


def location(lines: Lines) -> pd.Series[str]:
    """Where: the mapping row's word, else the slot's, on one line."""
    own = lines.row("location")
    return one_line(own.where(own.notna(), lines.slot("location")))


def within_days(lines: Lines) -> NDArray[np.bool_]:
    """Which lines have a ``slot_date`` in the pay period of their department's pay group."""
    first, last = pay_period_days(lines)
    days = day_numbers(lines.slot("slot_date"))
    inside: NDArray[np.bool_] = (days >= day_numbers(first)) & (days <= day_numbers(last))
    return inside


def pay_period_days(lines: Lines) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """The first and the last day (Python dates) of the pay period of each line's department."""
    import pandas as pd

    def side(place: int) -> pd.Series[Any]:
        def days(groups: pd.Series[Any]) -> pd.Series[Any]:
            return pd.Series([lines.span.days_of(group)[place] for group in groups], dtype="object")

        return lines.assignment("pay_group", days)

    return side(0), side(1)


def misaligned_periods(lines: Lines) -> Finding:
    """Slots whose schedule period does not begin and end with the pay period; the detail names department and days."""
    import numpy as np
    import pandas as pd

    if lines.span.kind != "pay_period":
        return Finding("period_misaligned", np.zeros(len(lines), dtype=bool))
    begins, ends = lines.slot("period_first_day"), lines.slot("period_last_day")
    first, last = pay_period_days(lines)
    mask = (day_numbers(begins) != day_numbers(first)) | (day_numbers(ends) != day_numbers(last))
    detail = np.full(len(lines), None, dtype=object)
    cells = (lines.assignment("department_id"), begins, ends, first, last)
    detail[mask] = [misalignment(*told) for told in zip(*(each[mask] for each in cells), strict=True)]
    return Finding("period_misaligned", mask, pd.Series(detail, dtype="str"))


def is_true(flags: pd.Series[Any]) -> NDArray[np.bool_]:
    """Make a mask of what is true; null is not."""
    values: NDArray[np.bool_] = flags.astype("boolean").fillna(value=False).to_numpy(dtype=bool)
    return values
