"""Which incidents a run's end opens, brings up to date and closes.

A run says nothing about what it did not judge: IDs and mapping are judged by a run that decided about its slots, the
way to the partner by one that ended well or failed on it. So an incident is closed by the run that finds it mended, and
by no other; one that was overtaken by a newer run finds nothing. Everything is recorded in the transaction of the run's
end; its mails are written from there by :mod:`include.platform.mailer`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include import errors
from include.alerts.rows import DELIVERED, kept, read_back
from include.ledger import incidents, rows, runs
from include.run.frozen import frozen_mapping
from include.run.handed import InboundFile, ProviderDocuments
from include.run.identity_providers import findings
from include.run.rejected import count_soon, slots_to_mend

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

    from include.alerts.rows import Row
    from include.ledger.records import Claim, Incident
    from include.reasons import IncidentClass
    from include.run.account import Standing
    from include.run.handed import Decided
    from include.run.services import Services

#: Rejected for the sake of an ID. Whatever else is rejected, or refused by the partner record by record, needs its
#: mapping or its data mended.
ID_REASONS = frozenset({"id_missing", "id_malformed", "id_duplicate", "id_unknown", "coid_mismatch"})
_BY_ROWS: tuple[IncidentClass, ...] = ("id_matching", "mapping")
_BY_ENDING: tuple[IncidentClass, ...] = ("connection", "held", "failed", "stale")
#: New slots that are due soon are told again before the next daily mail, but not more often than this.
_SOONER = timedelta(hours=1)
#: A failed run counts its slots after it has written down that it failed; its mail waits for the numbers so long.
_COUNTING = timedelta(seconds=15)
_FAULTS_KEPT = 20

#: What the operator must do about an error decides who is told, and which text tells it. The first match counts.
_CLASSES: tuple[tuple[type[BaseException], IncidentClass, str], ...] = (
    (errors.DeliveryHeld, "held", "held"),
    (errors.DestinationUnavailable, "connection", "unavailable"),
    (errors.DeliveryRefused, "connection", "refused"),
    (errors.DeliveryUncertain, "connection", "uncertain"),
    (errors.MappingError, "mapping", "mapping"),
    (errors.ResultsUnreadable, "failed", "results"),
    (errors.InboundRejected, "failed", "inbound"),
    # Our own database, not the partner's server: nothing that the customer's IT could mend on its side.
    (errors.SourceNotReady, "failed", "source"),
    (errors.DataRejected, "failed", "data"),
    (errors.Unforeseen, "failed", "unexpected"),
    (errors.CallboardError, "failed", "setting"),
    (BaseException, "failed", "unexpected"),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a run that decided about its slots found of those that must be mended. Made before the run's end.

    ``rows``: by class, the SHA-256 of the slots as they are kept, and the slots; None: all as it was known already.
    ``grown``: the classes in which slots have come that nobody was told of and that are due soon. ``id_field``: where
    the feed's mapping says that people's IDs stand. ``is_quiet``: nothing came in that could have been judged.
    ``told``: what is to be mended, ready to be told, where it is not about slots.
    """

    feed: str
    run_id: str
    fingerprint: str
    rows: Mapping[IncidentClass, tuple[str, tuple[Row, ...]]] | None
    grown: frozenset[IncidentClass] = field(default=frozenset())
    id_field: str = ""
    is_quiet: bool = False
    told: Mapping[IncidentClass, Mapping[str, Any]] | None = None

    def record(self, connection: Connection, *, but: IncidentClass | None = None) -> None:
        """Open, update and close the incidents of IDs and mapping, in the transaction of the run's end.

        ``but``: not those of the class in which the run itself has failed.
        """
        incidents.lock(connection, self.feed)
        if self.is_quiet:
            return
        if self.told is not None:
            self._record_told(connection, self.told, but)
            return
        if self.rows is None:
            for incident in incidents.open_incidents(connection, self.feed):
                if incident.kind in _BY_ROWS and incident.kind != but:
                    incidents.seen_again(connection, incident, run_id=self.run_id)
            return
        for kind in _BY_ROWS:
            if kind == but:
                continue
            if kind not in self.rows:
                incidents.close(connection, self.feed, [kind])
                continue
            stored, slots = self.rows[kind]
            missing = sum(slot.standing != DELIVERED for slot in slots)
            facts = {
                "what": "rows" if missing else "reported",
                "slots": missing or len(slots),
                "judged": self.fingerprint,
                "id_field": self.id_field,
            }
            incident, _ = incidents.observe(connection, self.feed, kind, facts=facts, run_id=self.run_id, rows=stored)
            if kind in self.grown:
                incidents.hurry(connection, incident, pause=_SOONER)

    def _record_told(
        self, connection: Connection, told: Mapping[IncidentClass, Mapping[str, Any]], but: IncidentClass | None
    ) -> None:
        known = {each.kind: each.facts.get("faults") for each in incidents.open_incidents(connection, self.feed)}
        for kind in _BY_ROWS:
            if kind == but:
                continue
            if kind not in told:
                incidents.close(connection, self.feed, [kind])
                continue
            facts = {**told[kind], "judged": self.fingerprint}
            incident, _ = incidents.observe(connection, self.feed, kind, facts=facts, run_id=self.run_id)
            if known.get(kind, facts["faults"]) != facts["faults"]:
                incidents.hurry(connection, incident, pause=_SOONER)


@dataclass(frozen=True, slots=True)
class Counted:
    """What the failure of a run that had decided means: how many slots the partner does not hold as it should.

    ``soon`` of them are on at the moment, or start soon. Both are None where no slots are delivered, but tables.
    """

    judged: Judged
    waiting: int | None
    soon: int | None


def count(decided: Decided, standing: Standing, services: Services) -> Counted:
    """Count what a failed run leaves undelivered."""
    if isinstance(decided.extracted.content, InboundFile):
        return Counted(judge(decided, standing, services), len(standing.pending), None)
    if decided.decisions is None or isinstance(decided.extracted.content, ProviderDocuments):
        return Counted(judge(decided, standing, services), None, None)
    soon = count_soon(decided, standing.pending, services)
    return Counted(judge(decided, standing, services), len(standing.pending), soon)


def judge(decided: Decided, standing: Standing, services: Services) -> Judged:
    """Find the slots that were rejected, or that the partner refuses, and compare them with what is known.

    A set of slots that stands from run to run is recognised by the hash of the decisions; nothing is read then.
    """
    claim = decided.extracted.claim
    feed = decided.extracted.feed
    if isinstance(decided.extracted.content, InboundFile):  # what is wrong with its rows, its report says
        quiet = not decided.extracted.inbound.name
        return Judged(feed, claim.run_id, decided.snapshot, rows={}, is_quiet=quiet)
    if isinstance(decided.extracted.content, ProviderDocuments):
        fingerprint = decided.decisions or decided.snapshot
        return Judged(feed, claim.run_id, fingerprint, rows={}, told=findings(decided, services))
    refused = _refused(decided, standing, services)
    fingerprint = _fingerprint(decided.decisions or decided.snapshot, refused)
    with services.ledger_reading() as connection:
        known = {each.kind: each for each in incidents.open_incidents(connection, feed) if each.kind in _BY_ROWS}
    if known and all(incident.facts.get("judged") == fingerprint for incident in known.values()):
        return Judged(feed, claim.run_id, fingerprint, rows=None)
    found: dict[IncidentClass, list[Row]] = {}
    if decided.rejected or decided.reported or refused:
        for row in slots_to_mend(decided, refused, services):
            found.setdefault("id_matching" if row.reason in ID_REASONS else "mapping", []).append(row)
    return Judged(
        feed,
        claim.run_id,
        fingerprint,
        rows={kind: (services.artifacts.put_bytes(kept(each)).sha256, tuple(each)) for kind, each in found.items()},
        grown=frozenset(
            kind for kind, each in found.items() if kind in known and _has_grown(known[kind], each, decided, services)
        ),
        id_field=frozen_mapping(decided.extracted, services).personnel_id if found else "",
    )


def ended_well(connection: Connection, judged: Judged) -> None:
    """The partner holds what it should: whatever stood in the way is over. In the transaction of the run's end.

    That a file was refused is over when one was taken over, not when none lies there any more.
    """
    judged.record(connection)
    stays = {"inbound"} if judged.is_quiet else set()
    over = [each.kind for each in incidents.open_incidents(connection, judged.feed) if each.facts.get("what") in stays]
    incidents.close(connection, judged.feed, [kind for kind in _BY_ENDING if kind not in over])


def ended_badly(
    connection: Connection,
    feed: str,
    run_id: str,
    error: BaseException | None,
    *,
    claim: Claim | None = None,
    will_count: bool = False,
    counted: Counted | None = None,
) -> None:
    """A run failed for good, or was killed (``error`` is None). In the transaction that records its end.

    ``claim`` is None where it failed before it had one. ``will_count``: what it means for the slots is being found out,
    and comes as ``counted``. Reporting the same run again, by whomever, changes nothing but the numbers.
    """
    if isinstance(error, errors.FencedOut) or (claim is not None and _overtaken(connection, claim)):
        return
    incidents.lock(connection, feed)
    kind, facts = _trouble(error)
    if counted is not None:
        counted.judged.record(connection, but=kind)
        facts = {"slots": counted.waiting, "soon": counted.soon} | facts  # what a hold says of itself counts
    known = [each for each in incidents.open_incidents(connection, feed) if each.kind == kind]
    incident, _ = incidents.observe(
        connection, feed, kind, facts=facts, run_id=run_id, tell_in=_COUNTING if will_count else timedelta(0)
    )
    if counted is not None:
        incidents.hurry(connection, incident, due_within=_COUNTING)
    if any(not each.facts.get("stopped") for each in known):
        incidents.hurry(connection, incident)  # some slots were missing, and now nothing is delivered at all


def _trouble(error: BaseException | None) -> tuple[IncidentClass, dict[str, Any]]:
    """The class of an error, and the facts of it that a mail may tell: nothing of what a foreign error says."""
    if error is None:
        return "failed", {"what": "killed", "stopped": True}
    kind, what = next((kind, what) for known, kind, what in _CLASSES if isinstance(error, known))
    facts: dict[str, Any] = {"what": what, "stopped": True}
    if isinstance(error, errors.CallboardError):
        told = {"name": type(error).__name__, "message": error.message, "next_step": error.next_step}
        facts |= {"error": told, **dict(getattr(error, "facts", {}))}
    else:
        facts["error"] = {"name": type(error).__name__}
    if isinstance(error, errors.InputFaults):
        facts |= {"faults": [str(fault) for fault in error.faults[:_FAULTS_KEPT]], "fault_count": len(error.faults)}
    return kind, facts


def _overtaken(connection: Connection, claim: Claim) -> bool:
    return runs.successor(connection, claim.stream, claim.run_id) is not None


def _refused(decided: Decided, standing: Standing, services: Services) -> dict[str, str]:
    """What the partner refused, by slot: what must be mended where it says so, else that it was refused."""
    slots = {slot_id for slot_id, reason in standing.pending.items() if reason == "refused"}
    if not slots:
        return {}
    with services.ledger_reading() as connection:
        refusals = rows.refusals(connection, decided.extracted.claim.stream)
    kinds = {refusal.slot_id: refusal.kind for refusal in refusals}
    return {slot_id: kinds.get(slot_id) or "refused" for slot_id in slots}


def _fingerprint(decisions: str, refused: Mapping[str, str]) -> str:
    if not refused:
        return decisions
    listed = "\n".join(f"{slot_id} {reason}" for slot_id, reason in sorted(refused.items()))
    return hashlib.sha256(f"{decisions}\n{listed}".encode()).hexdigest()


def _has_grown(known: Incident, rows: Collection[Row], decided: Decided, services: Services) -> bool:
    """Whether slots have come since the last mail that are due soon."""
    told: set[str] = set()
    if known.told_rows is not None and services.artifacts.exists(known.told_rows):
        with services.artifacts.open(known.told_rows) as stored:
            told = {row.slot_id for row in read_back(stored.read())}
    return any(row.slot_id not in told and row.is_soon(decided.extracted.as_of) for row in rows)
