"""One round of the watch: look at everything, do what follows, tell whom it concerns. Nothing that is down ends it."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from include import housekeeping
from include.alerts.smtp import MailServer
from include.errors import CallboardError, MailNotSent, SourceNotReady
from include.platform.airflow_api import AirflowLacks, AirflowRefusesAccount, AirflowSilent
from include.platform.watch import alarms, looks, mail_flow
from include.platform.watch.configured import Configured
from include.platform.watch.feeds import in_flight_too_long, stale_feeds, tell_stale
from include.platform.watch.killed import Killed
from include.platform.watch.mails import handed_over, recipients_of, written
from include.platform.watch.memory import recall, remember
from include.platform.watch.notes import Notes
from include.platform.watch.report import Round
from include.platform.watch.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include.mappings.loader import FeedHead
    from include.platform.airflow_api import AirflowApi
    from include.platform.watch.settings import WatchSettings
    from include.run.services import Services
    from include.settings import MailSettings

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
#: What the watch waits for one answer of the mail server: while it waits it does not look.
_MAIL_SECONDS = 5
#: A mail that the server answered it will not take is not offered again before this.
_REFUSED = timedelta(minutes=5)


class Watch:
    """The watch of one installation. Only one process may act for it; another may look (``acts=False``)."""

    def __init__(
        self,
        services: Services,
        settings: WatchSettings,
        mail: MailSettings,
        airflow: Callable[[], AirflowApi],
        now: datetime,
        *,
        supervisor: Path | None = None,
        acts: bool = True,
    ) -> None:
        self._services = services
        self._settings = settings
        self._mail = replace(mail, timeout=min(mail.timeout, _MAIL_SECONDS))
        self._server = MailServer(self._mail)
        self._open_airflow = airflow
        self._airflow: AirflowApi | None = None
        self._supervisor = supervisor
        self._acts = acts
        self._file = services.settings.var / "watch.json"
        self._memory = recall(self._file, now)
        self._configured = Configured(services.settings.mappings)
        self._killed, self._notes = Killed(), Notes()
        self._proved: datetime | None = None  # the day whose canary is known to be in the outbox
        self._not_before: dict[int, datetime] = {}  # by alarm: when its mail is offered again
        self._said: dict[str, str] = {}

    def round(self, now: datetime) -> Round:
        """Go round once. ``now`` is aware and never the business clock."""
        done = Round(now)
        heads = self._try(done, "reading the mappings", self._configured.heads)
        self._memory.begin_round(now, None if heads is None else {head.feed for head in heads})
        self._look_around(done)
        if self._try(done, "asking the database", lambda: looks.database(done.found, self._dsn)):
            airflow = self._try(done, "asking Airflow", lambda: self._look_at_airflow(done))
            if heads is not None:  # feeds that cannot be read are not feeds that are gone
                self._mind_the_feeds(done, heads, airflow=bool(airflow))
            self._try(done, "looking at the mails", lambda: self._look_at_mails(done))
        else:  # its absence says nothing about Airflow's processes
            self._try(done, "asking Airflow", lambda: self._look_at_pages(done))
        if self._acts:
            self._try(done, "telling people", lambda: self._tell(done, heads or ()))
            remember(self._file, self._memory)
        return done

    def close(self) -> None:
        """Close its connections."""
        if self._airflow:
            self._airflow.close()

    @property
    def _dsn(self) -> str:
        return self._services.settings.ledger_dsn

    @property
    def _logs(self) -> Path:
        return self._services.settings.var / "logs"

    @property
    def _zone(self) -> str:
        return self._services.settings.time_zone

    @property
    def _api(self) -> AirflowApi:
        """The API under the account of now: a platform that was started again may have another port or password."""
        if self._airflow is None:
            self._airflow = self._open_airflow()
        return self._airflow

    def _look_around(self, done: Round) -> None:
        self._try(done, "looking at the disk", lambda: looks.disk(done.found, self._services.settings.var))
        if self._supervisor is not None:
            supervisor = self._supervisor
            self._try(done, "looking at the mailer", lambda: looks.mailer(done.found, supervisor, self._logs))
            self._try(done, "looking at the waker", lambda: looks.waker(done.found, supervisor, self._logs))

    def _look_at_airflow(self, done: Round) -> bool:
        health = self._api.health()
        if not health:
            self._forget_airflow()
        return looks.airflow(done.found, health, self._logs)

    def _look_at_pages(self, done: Round) -> None:
        if not self._api.health():
            self._forget_airflow()
            looks.airflow(done.found, {}, self._logs)
        else:
            done.found.looked("api_server")

    def _mind_the_feeds(self, done: Round, heads: tuple[FeedHead, ...], *, airflow: bool) -> None:
        if airflow and self._acts:
            self._try(done, "looking for killed runs", lambda: self._record_killed(done, heads))
        self._try(done, "looking at the feeds", lambda: self._look_at_feeds(done, heads, ask_airflow=airflow))
        if airflow and self._acts:
            self._try(done, "writing notes", lambda: self._write_notes(heads))
        if airflow:
            self._try(done, "looking at the housekeeping", lambda: self._look_at_housekeeping(done))

    def _record_killed(self, done: Round, heads: tuple[FeedHead, ...]) -> None:
        feeds = {head.feed for head in heads}
        try:
            until = self._killed.record(self._api, self._services, feeds, self._memory.failed_until)
        except AirflowRefusesAccount as error:
            self._forget_airflow()
            done.found.looked("account", _account(error))
            return
        self._memory.failed_until = until
        done.found.looked("account")

    def _look_at_feeds(self, done: Round, heads: tuple[FeedHead, ...], *, ask_airflow: bool) -> None:
        with self._services.ledger_reading() as connection:
            stale = stale_feeds(connection, heads, self._zone, self._memory, done.at)
            done.found.looked("in_flight", *in_flight_too_long(connection, heads, self._zone, done.at))
        done.stale = [each for each in stale if not each.excused]
        if not self._acts:
            return
        paused = None
        if stale and ask_airflow:
            paused = self._try(done, "asking which Dags are paused", self._api.paused)
        with self._services.ledger("stale") as connection:
            tell_stale(connection, stale, paused)

    def _look_at_housekeeping(self, done: Round) -> None:
        try:
            runs = self._api.runs(housekeeping.DAG_ID, limit=5)
        except AirflowLacks:  # a platform of its own, whose Dag files leave it out
            runs = []
        looks.housekeeping(done.found, runs)

    def _look_at_mails(self, done: Round) -> None:
        with self._services.ledger_reading() as connection:
            mail_flow.unsent(done.found, connection, self._zone, done.at)
        to = self._settings.canary_to or self._mail.administrators
        struck = mail_flow.struck(self._settings.canary_hour, self._zone, done.at)
        if self._acts and to and self._memory.first_round_at <= struck != self._proved:
            with self._services.ledger("canary") as connection:
                mail_flow.queue_canary_once(connection, struck, to, self._mail.sender)
            self._proved = struck

    def _write_notes(self, heads: tuple[FeedHead, ...]) -> None:
        feeds = {head.feed for head in heads}
        self._memory.noted_until = self._notes.write(self._api, self._services, feeds, self._memory.noted_until)

    def _tell(self, done: Round, heads: tuple[FeedHead, ...]) -> None:
        memory, confirm = self._memory, self._settings.confirm
        memory.next_number = alarms.advance(memory.alarms, done.found, done.at, confirm, memory.next_number)
        due = alarms.due(memory.alarms, done.found, done.at, confirm)
        done.untold = len(due)
        everybody = tuple(address for head in heads for address in head.recipients.administrators)
        try:
            for mail in due:
                if self._not_before.get(mail.alarm.number, done.at) > done.at:
                    continue
                letter = written(mail, self._mail, self._zone, done.at)
                if handed_over(self._server, self._mail, letter, recipients_of(mail, self._mail, everybody)):
                    alarms.told(memory.alarms, mail, done.at)
                    done.untold -= 1
                    self._not_before.pop(mail.alarm.number, None)
                    remember(self._file, memory)  # at once: what was said is said
                else:
                    self._not_before[mail.alarm.number] = done.at + _REFUSED
        except MailNotSent:
            return  # the next round tries again

    def _forget_airflow(self) -> None:
        self.close()
        self._airflow = None

    def _try(self, done: Round, doing: str, what: Callable[[], _T]) -> _T | None:
        """Do one thing of a round. What is down, or broken, ends that and nothing else; the log says it once."""
        try:
            answer = what()
        except (SourceNotReady, AirflowSilent) as error:  # the next round finds out what that was
            self._say(doing, f"While {doing}: {error}")
        except CallboardError as error:
            done.broken.append(doing)
            self._say(doing, f"While {doing}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the watch goes on, and the ping falls silent
            done.broken.append(doing)
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._say(doing, f"While {doing}: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}.")
        else:
            if self._said.pop(doing, None):
                _log.info("Well again: %s.", doing)
            return answer
        return None

    def _say(self, doing: str, sentence: str) -> None:
        if self._said.get(doing) != sentence:
            _log.warning("%s", sentence)
            self._said[doing] = sentence


def _account(error: AirflowRefusesAccount) -> Trouble:
    return Trouble(
        key="account",
        title="Airflow does not let the watch in",
        what=f"{error.message} Killed runs are not noticed, and runs get no notes.",
        steps=("Give the watch the account of the running platform (its access.json), and start it again.",),
        over="Airflow lets the watch in.",
    )
