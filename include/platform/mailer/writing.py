"""Writing mails: from an incident in the ledger to a mail in the outbox."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.alerts.import_report import ImportReport, write_report
from include.alerts.message import new_message_id
from include.alerts.notice import Notice
from include.alerts.rows import read_back
from include.alerts.wording import write
from include.clock import business_now
from include.errors import CallboardError
from include.ledger import inbound_files, incidents, outbox, runs
from include.ledger.records import NewMail
from include.platform.mailer import described
from include.platform.mailer.addressees import about

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from include.alerts.notice import State
    from include.alerts.rows import Row
    from include.ledger.inbound_files import InboundRecord
    from include.ledger.records import Incident
    from include.platform.mailer.addressees import About
    from include.run.services import Services
    from include.settings import MailSettings

_log = logging.getLogger(__name__)
#: A daily feed's next run gets the first word: perhaps the incident is over with it.
_GRACE = timedelta(minutes=15)
_UNWRITTEN = timedelta(minutes=5)


class Writer:
    """Writes what is due."""

    def __init__(self, services: Services, settings: MailSettings) -> None:
        self._services = services
        self._settings = settings

    def write_one(self) -> bool:
        """Write the mail that has been due longest; answers whether there was one.

        Raises:
            SourceNotReady: the ledger does not answer.
        """
        with self._services.ledger("write_mail") as connection:
            incident = incidents.due_to_tell(connection)
            if incident is None:
                return False
            try:
                with connection.begin_nested():
                    self._tell(connection, incident)
            except Exception as error:  # noqa: BLE001 - one that cannot be written must not keep the others
                _log.error("The mail about incident %d was not written (%s).", incident.incident_id, described(error))
                incidents.put_off(connection, incident, by=_UNWRITTEN)
        return True

    def write_report(self) -> bool:
        """Write the mail with the oldest report of a file that was taken in; answers whether there was one.

        Raises:
            SourceNotReady: the ledger does not answer.
        """
        with self._services.ledger("write_report") as connection:
            record = inbound_files.due_to_tell(connection)
            if record is None:
                return False
            try:
                with connection.begin_nested():
                    self._report(connection, record)
            except Exception as error:  # noqa: BLE001 - one that cannot be written must not keep the others
                _log.error("The mail about inbound file %d was not written (%s).", record.inbound_id, described(error))
                inbound_files.put_off(connection, record, by=_UNWRITTEN)
            else:
                inbound_files.told(connection, record)
        return True

    def _report(self, connection: Connection, record: InboundRecord) -> None:
        """Queue the mail with a report, as a digest of how IDs match: what is to be mended in it are keys and IDs."""
        settings, feed = self._settings, record.stream.partition("@")[0]
        found = about(connection, self._services, feed, "id_matching", settings.administrators)
        if not found.recipients:
            _log.warning("Nobody is named who could be told of inbound file %d.", record.inbound_id)
            return
        told = dict(record.report or {})
        attached = None
        with suppress(CallboardError), self._services.artifacts.open(str(told.get("sha256"))) as stored:
            attached = stored.read()
        written = write_report(
            ImportReport(
                feed=feed,
                title=found.page.title or feed,
                contact=found.page.contact,
                file_name=record.name,
                taken_at=record.read_at,
                zone=self._services.settings.time_zone,
                report_name=str(told.get("name", "")),
                report=attached,
                decisions=told.get("decisions") or {},
                lacking=told.get("lacking") or (),
                waiting=int(told.get("waiting") or 0),
            )
        )
        mail = NewMail(
            state="digest",
            recipients=found.recipients,
            subject=written.subject,
            body=written.body,
            message_id=new_message_id(settings.sender),
            feed=feed,
            kind="id_matching",
            attachment_name=written.attachment_name,
            attachment=written.attachment,
        )
        outbox.queue(connection, mail)

    def _tell(self, connection: Connection, incident: Incident) -> None:
        """Queue the mail, or mails, that bring people up to date about an incident."""
        settings = self._settings
        found = about(connection, self._services, incident.feed, incident.kind, settings.administrators)
        refused = outbox.refused_addresses(connection) if not incident.feed else ()
        recipients = tuple(address for address in found.recipients if address not in refused)
        if not recipients:
            _log.warning("Nobody is named who could be told of incident %d.", incident.incident_id)
        for state in _states(incident) if recipients else ():
            written = write(self._notice(connection, incident, state, found))
            mail = NewMail(
                state=state,
                recipients=recipients,
                subject=written.subject,
                body=written.body,
                message_id=new_message_id(settings.sender),
                incident_id=incident.incident_id,
                feed=incident.feed,
                kind=incident.kind,
                attachment_name=written.attachment_name,
                attachment=written.attachment,
                refers_to=outbox.first_of(connection, incident.incident_id),
            )
            outbox.queue(connection, mail)
        every = timedelta(hours=settings.digest_hours)
        incidents.told(connection, incident, again_in=every + min(_GRACE, every / 4))

    def _notice(self, connection: Connection, incident: Incident, state: State, found: About) -> Notice:
        last_good = runs.last_good(connection, [incident.feed]).get(incident.feed)
        return Notice(
            feed=incident.feed,
            kind=incident.kind,
            state=state,
            incident_id=incident.incident_id,
            opened_at=incident.opened_at,
            closed_at=incident.closed_at,
            at=datetime.now(UTC),
            now=business_now(),
            zone=self._services.settings.time_zone,
            facts={**incident.facts, "last_good_at": last_good.isoformat() if last_good else None},
            rows=self._rows(incident) if state != "closed" else (),
            run_id=incident.run_id,
            occurrences=incident.occurrences,
            openings=incidents.openings(connection, incident, incidents.FLAPPING),
            damped=incident.damped,
            title=found.page.title,
            partner=found.page.partner,
            contact=found.page.contact,
            otherwise=found.page.otherwise,
            takes_in=found.page.takes_in,
            airflow_url=self._settings.airflow_url,
        )

    def _rows(self, incident: Incident) -> tuple[Row, ...]:
        """The slots concerned; a mail without them is better than none."""
        if incident.rows is None:
            return ()
        with suppress(CallboardError), self._services.artifacts.open(incident.rows) as stored:
            return read_back(stored.read())
        _log.warning("The slots of incident %d are not among the artifacts any more.", incident.incident_id)
        return ()


def _states(incident: Incident) -> tuple[State, ...]:
    """What is to be told of an incident. One that is over before anybody heard of it is told with its end."""
    first: State = "open" if incident.told_at is None and not incident.damped else "digest"
    if incident.closed_at is None:
        return (first,)
    return ("open", "closed") if first == "open" else ("closed",)
