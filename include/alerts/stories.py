"""What is particular to one incident: which text tells it, the words that fill it in, and the list of causes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.alerts.layout import count, item, moment, some
from include.alerts.rows import DELIVERED, grouped
from include.alerts.texts import names, text
from include.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.alerts.notice import Notice
    from include.alerts.rows import Group
    from include.alerts.texts import Text
    from include.reasons import IncidentClass

_SHOWN = 10
_DETAILS_SHOWN = 10
_GUARDS = {
    "to_zero": "Nothing at all would be left at the partner, where there are {limit} entries now.",
    "deletes": "{measured} entries would be removed; up to {limit} may go without approval.",
    "deletes_percent": "{measured} % of what the partner holds would be removed; up to {limit} % may go.",
    "updates_percent": "{measured} % of what the partner holds would be changed; up to {limit} % may change at once.",
    "rejected_percent": "{measured} % of the slots cannot be delivered as they are; up to {limit} % are let pass.",
    "layout": "The form of the file (its columns, or how they are written) would not be the one of last time.",
}
_GUARDS_OF_IMPORTS = {
    "deletes": "{measured} people would lose a value; up to {limit} may without approval.",
    "deletes_percent": "{measured} % of the people would lose a value; up to {limit} % may.",
    "updates_percent": "{measured} % of the people would change; up to {limit} % may change at once.",
    "rejected_percent": "{measured} % of the rows that find a person were rejected; up to {limit} % are let pass.",
}


@dataclass(frozen=True, slots=True)
class Story:
    """A text that is filled in, and what stands around it.

    ``causes``: entries of a list, laid out. ``slots_are``: what the number of slots counts. ``facts``: more of them.
    """

    text: Text
    causes: tuple[str, ...] = ()
    slots_are: str = "Slots"
    facts: tuple[tuple[str, str], ...] = ()
    who: str = ""


def story(notice: Notice) -> Story:
    """Choose the text of an incident by its class and by what happened, and fill it in."""
    if notice.kind == "held":
        return _held(notice)
    if notice.kind in ("id_matching", "mapping") and notice.what in ("", "rows", "reported"):
        return _slots(notice)
    return _runs(notice)


def _slots(notice: Notice) -> Story:
    groups = grouped(notice.rows, notice.now)
    name = "id_matching" if notice.kind == "id_matching" else "slots"
    if notice.what == "reported":
        name = "reported"
    owners = dict.fromkeys(REASONS[group.reason].owner for group in groups if group.reason in REASONS)
    of_people = f" of {count(notice.people, 'person', 'people')}" if notice.people else ""
    filled = _filled(name, notice, slots=count(notice.slots or 0, "slot"), of_people=of_people)
    field = str(notice.facts.get("id_field") or "") if name == "id_matching" else ""
    return Story(
        filled,
        causes=tuple(_group(group, notice.kind) for group in groups),
        facts=(("ID field", f"{field}, in the person's profile" if field else ""),),
        who=", ".join(owners) or filled.who,
    )


def _group(group: Group, kind: IncidentClass) -> str:
    reason = REASONS.get(group.reason)
    if reason is None:  # of an older release
        return item(f"{count(group.slots, 'slot')}: {group.reason}", ())
    soon = ""
    if group.soon:
        soon = ", urgent" if group.soon == group.slots else f", {group.soon:,} of them urgent"
    standing = ", delivered all the same" if group.standing == DELIVERED else ""
    about = f"Assignments: {some(group.assignments, _SHOWN)}"
    if kind == "id_matching" and group.people:
        about = f"People: {some(group.people, _SHOWN)}"
    details = f" ({some(group.details, _DETAILS_SHOWN)})" if group.details else ""
    return item(
        f"{count(group.slots, 'slot')}{soon}{standing}: {reason.meaning}",
        [f"Fix: {reason.fix}{details}", about, f"Who: {reason.owner}. In the list: {reason.name}"],
    )


def _held(notice: Notice) -> Story:
    facts = notice.facts
    if notice.what == "held_import":
        reasons = [_guard(guard, _GUARDS_OF_IMPORTS) for guard in facts.get("guards") or ()]
        listed = tuple(item(line, ()) for line in reasons)
        return Story(_filled("held_import", notice), causes=listed, slots_are="People waiting")
    lost, withheld = int(facts.get("lost") or 0), int(facts.get("withheld") or 0)
    sent = "Nothing was sent: the partner still has what it was sent last."
    if withheld:
        sent = f"What is new or changed was sent all the same; only {count(withheld, 'removal')} wait."
    losses = ""
    if lost:
        losses = f"{count(lost, 'slot')} that the partner has now would be taken away."
    held = f"held, {count(lost, 'slot')} would disappear" if lost else "held, too much would change at once"
    causes = [_cause(cause) for cause in facts.get("causes") or ()]
    guards = [_guard(guard, _GUARDS) for guard in facts.get("guards") or ()]
    return Story(
        _filled("held", notice, held=held, sent=sent, losses=losses),
        causes=tuple(item(line, ()) for line in (*causes, *guards)),
        slots_are="Would be gone",
        facts=_last_delivery(notice),
    )


def _guard(guard: Mapping[str, Any], words: Mapping[str, str]) -> str:
    sentence = words.get(str(guard.get("guard")), f"{guard.get('guard')}: {{measured}}; the limit is {{limit}}.")
    return sentence.format(measured=_number(guard.get("measured")), limit=_number(guard.get("limit")))


def _cause(cause: Mapping[str, Any]) -> str:
    said = (str(cause.get("detail") or "") or str(cause.get("cause", "")).replace("_", " ")).rstrip(".")
    what = "row" if cause.get("cause") == "table_shrank" else "slot"
    number = f" ({count(int(cause['count']), what)})" if cause.get("count") is not None else ""
    return f"Probable cause: {said}{number}."


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def _runs(notice: Notice) -> Story:
    facts = notice.facts
    faults = [str(fault) for fault in facts.get("faults") or ()]
    addresses = [str(address) for address in facts.get("addresses") or ()]
    last = _last_delivery(notice)
    known = notice.what if notice.what in names() else "unexpected"
    filled = _filled(
        known,
        notice,
        faults=count(int(facts.get("fault_count") or len(faults)), "fault"),
        addresses=count(len(addresses), "address", "addresses"),
        paused="It is switched off in Airflow, and does not run." if facts.get("paused") else "",
        no_delivery=f"no delivery since {last[0][1]}" if facts.get("last_good_at") else "it has never delivered",
    )
    failed = (("Failed runs", f"{notice.occurrences:,}"),) if notice.occurrences > 1 and notice.kind != "stale" else ()
    return Story(
        filled,
        causes=_listed([*faults, *addresses], int(facts.get("fault_count") or 0)),
        slots_are="Slots waiting",
        facts=(*last, *failed) if notice.feed else (),
    )


def _listed(entries: Sequence[str], number: int) -> tuple[str, ...]:
    shown = [item(entry, ()) for entry in entries[:_SHOWN]]
    more = max(number, len(entries)) - len(shown)
    return (*shown, item(f"and {more} more", ())) if more > 0 else tuple(shown)


def _last_delivery(notice: Notice) -> tuple[tuple[str, str], ...]:
    at = notice.facts.get("last_good_at")
    return (("Last delivery", moment(datetime.fromisoformat(str(at)), notice.zone) if at else "none yet"),)


def _filled(name: str, notice: Notice, **words: str) -> Text:
    to_whom = notice.partner.partition(",")[0] or "the partner"
    step = str((notice.facts.get("error") or {}).get("next_step") or "open the run in Airflow: its red task says more")
    return text(name).filled(
        to_whom=to_whom,
        To_whom=_begun(to_whom),
        contact=notice.contact or "the partner",
        feed=notice.feed,
        next_step=f"{_begun(step).rstrip('.')}.",
        **words,
    )


def _begun(words: str) -> str:
    """The words as the beginning of a sentence."""
    return f"{words[:1].upper()}{words[1:]}"
