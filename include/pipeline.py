"""Builds a Dag of the four steps for each feed of an integration; nothing else.

A Dag file calls :func:`publish_dags` with its declaration. Whatever a step does is in :mod:`include.run`; here it is
only given its inputs, its retries and its place.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    get_current_context,
    get_parsing_context,
    task,
)

from include import errors
from include.cron import interval
from include.integration import IdentityProviders, Inbound, Rows
from include.mappings.loader import feeds_of
from include.settings import WAKING, default_time_zone, mappings_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.bases.timetable import BaseTimetable
    from airflow.sdk.definitions.param import ParamsDict

    from include.destinations.connection import ConnectionDetails
    from include.integration import Integration
    from include.mappings.loader import FeedHead
    from include.run.handed import Decided, Extracted
    from include.run.order import Order
    from include.run.services import Services

#: Feeds that come round this often are not retried for long: fresher data is on its way.
FREQUENT = timedelta(minutes=15)
#: By the clock, by hand, by a change. No backfill: a run reads the store as it is, so one for the past would be a lie.
RUNS = ("scheduled", "manual", "operator_triggered", "asset_triggered")
#: When many feeds run at once, those that people are paged by take the next free worker.
ON_CALL_FIRST = 100
#: The pool of what other feeds compute here: it never has all workers, so that on-call feeds find a free one.
OTHERS_POOL = "callboard_other"
#: By how much a clock's run yields the processor to one that somebody waits for (Unix's niceness).
YIELDS = 5
#: Pools of what waits for one partner, by what their names begin with: nobody waits behind another's partner, and at
#: their own partner on-call feeds do not wait behind the others. include/platform/pools.py makes them.
PARTNER_POOL, ON_CALL_PARTNER_POOL = "partner_", "on_call_partner_"


@cache
def _retry_policy() -> ExceptionRetryPolicy:
    """Whether a task is tried again is a property of the error's class; anything unforeseen is tried again."""
    known = [
        error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, errors.CallboardError)
    ]
    known.sort(key=lambda error: len(error.__mro__), reverse=True)  # the first match counts: special before general
    return ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=error,
                action=RetryAction.DEFAULT if error.retryable else RetryAction.FAIL,
                reason=error.summary,
            )
            for error in known
        ]
    )


def publish_dags(integration: Integration) -> None:
    """Register one Dag for each feed whose mapping names this integration; its id is the feed's name.

    Each task re-parses its Dag file, so only the Dag that is asked for is read and built then. A feed whose mapping is
    wrong gets its Dag all the same, with the faults as its page and a first task that fails with them: no other Dag is
    touched.
    """
    for feed in feeds_of(mappings_folder(), integration.slug, only=get_parsing_context().dag_id):
        _build(integration, feed)


def _build(integration: Integration, feed: FeedHead) -> None:
    frequent = interval(feed.schedule) <= FREQUENT
    with DAG(
        dag_id=feed.feed,
        dag_display_name=integration.title if feed.feed == integration.slug else f"{integration.title} ({feed.feed})",
        description=integration.title,
        doc_md=integration.doc if feed.error is None else f"{integration.doc}\n\n## The mapping is wrong\n{feed.error}",
        schedule=_schedule(integration, feed),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        allowed_run_types=RUNS,  # type: ignore[arg-type]  # converted; its enumeration takes long to import
        tags=sorted({integration.slug, feed.environment, feed.status, type(integration.way).__name__.lower()}),
        default_args={
            "owner": "callboard",
            "priority_weight": ON_CALL_FIRST if integration.on_call else 1,
            "weight_rule": "absolute",
            "retries": 1 if frequent else 3,
            "retry_delay": timedelta(seconds=20) if frequent else timedelta(minutes=2),
            "retry_policy": _retry_policy(),
            "execution_timeout": timedelta(minutes=5) if frequent else timedelta(hours=1),
        },
        on_failure_callback=_run_failed,
        auto_register=True,
    ) as dag:
        _four_steps(integration, feed)
        # Last: each task would take a copy of its own along, which costs more than all else when a Dag file is parsed.
        dag.params.update(_params(integration))


def _params(integration: Integration) -> ParamsDict:
    """What a person may ask of a run."""
    from airflow.sdk.definitions.param import ParamsDict

    return ParamsDict(
        {
            "resend": Param(
                default=False, type="boolean", title="Send again", description="The last delivery, byte for byte."
            ),
            "rebaseline": Param(
                default=False,
                type="boolean",
                title="New baseline",
                description="Send everything, as if nothing were known of what the partner holds.",
            ),
            **_params_of_records(integration),
            "dry_run": Param(
                default=False,
                type="boolean",
                title="Dry run",
                description="Work out what would be sent, record by record, and send nothing.",
            ),
            "approve": Param(
                default="",
                type="string",
                enum=["", "everything", *(["adds_and_updates"] if integration.on_call else [])],
                title="Approve what is held",
                description="Let a delivery through that a guard stopped, as it was when you looked at it; or only its "
                "adds and updates, where people are paged by it.",
            ),
        }
    )


def _params_of_records(integration: Integration) -> dict[str, Param]:
    """What may be asked of a partner of records only."""
    if not isinstance(integration.way, Rows):
        return {}
    return {
        "reconcile": Param(
            default=False,
            type="boolean",
            title="Reconcile",
            description="Ask the partner first what it really holds, and mend what differs; where it can be asked.",
        )
    }


def _schedule(integration: Integration, feed: FeedHead) -> BaseTimetable | Asset | None:
    """By the clock; of woken feeds also when the waker says that something changed that concerns the feed.

    Each feed has an asset of its own, so that a change wakes nobody whom it does not concern. The events carry nothing:
    a run reads the store as it is, never a list of changes (docs/decisions/0018).
    """
    clock = None
    if feed.schedule:
        clock = CronTriggerTimetable(feed.schedule, timezone=feed.time_zone or default_time_zone())
    if not integration.woken:
        return clock
    asset = Asset(name=f"{WAKING}{feed.feed}", uri=f"callboard://feeds/{feed.feed}")
    return asset if clock is None else AssetOrTimeSchedule(timetable=clock, assets=[asset])


def _four_steps(integration: Integration, head: FeedHead) -> None:
    feed = head.feed
    steps = _Steps(integration, feed)
    here, at_partner = _pools(integration, head)
    asks_first = isinstance(integration.source, Inbound | IdentityProviders)
    # One answer from each step. Airflow would also keep every field of it by itself, at the price of a request each.
    task_of_a_step = partial(task, multiple_outputs=False)

    @task_of_a_step(pool=at_partner if asks_first else here)
    def extract() -> dict[str, Any]:
        """Claim the fence, freeze the mapping, read the schedule store once."""
        from include.run import extract as step

        return steps.run(None, lambda services: step.extract(integration, feed, _run_id(), services, _order()))

    @task_of_a_step(pool=here)
    def validate(extracted: dict[str, Any]) -> dict[str, Any]:
        """ID matching and mapping completeness, on the distinct people and assignments."""
        from include.run import handed
        from include.run import validate as step

        given = handed.extracted_from_json(extracted)
        return steps.run(given, lambda services: step.validate(given, services))

    @task_of_a_step(pool=here)
    def transform(validated: dict[str, Any]) -> dict[str, Any]:
        """Decide about every slot; say what the partner should hold."""
        from include.run import handed
        from include.run import transform as step

        given = handed.validated_from_json(validated)
        return steps.run(given.extracted, lambda services: step.transform(integration, given, services))

    @task_of_a_step(pool=at_partner)
    def deliver(decided: dict[str, Any]) -> dict[str, Any]:
        """Send what differs, verify it, and fail unless the ledger agrees."""
        from include.run import deliver as step
        from include.run import handed

        given = handed.decided_from_json(decided)
        return steps.run(given, lambda services: step.deliver(integration, given, services, _order()))

    deliver(transform(validate(extract())))  # type: ignore[arg-type]  # at parse time these are references


def _pools(integration: Integration, head: FeedHead) -> tuple[str, str]:
    """The pools of what is done here and of what waits for the partner (docs/decisions/0031).

    A feed of identity providers has no connection: whom it asks is nobody else's partner.
    """
    here = "default_pool" if integration.on_call else OTHERS_POOL
    partner = head.connection
    if not partner and isinstance(integration.source, IdentityProviders):
        partner = head.feed
    if not partner:
        return here, here
    return here, f"{ON_CALL_PARTNER_POOL if integration.on_call else PARTNER_POOL}{partner}"


@dataclass(frozen=True, slots=True)
class _Steps:
    """Runs the steps of one feed, and writes down how the run ended when a step failed for good."""

    integration: Integration
    feed: str

    def run(self, given: Extracted | Decided | None, step: Callable[[Services], Any]) -> dict[str, Any]:
        """Do one step; what it hands on, as JSON types."""
        from airflow.sdk.exceptions import AirflowSkipException

        from include.run.handed import to_json

        _yield_to_who_is_waited_for(self.integration, get_current_context()["dag_run"].run_type)
        services = _services()
        try:
            return to_json(step(services))
        except errors.FencedOut as overtaken:
            self._ended(overtaken, given, services)
            raise AirflowSkipException(str(overtaken)) from overtaken
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes on as one of ours
            shielded = errors.shielded(error)
            if not shielded.retryable or _is_last_try():
                self._ended(shielded, given, services)
            raise shielded from None  # Airflow writes the whole chain of errors into its log

    def _ended(self, error: Exception, given: Extracted | Decided | None, services: Services) -> None:
        from include.run.failure import failed

        failed(self.integration, self.feed, _run_id(), error, services, given)


def _yield_to_who_is_waited_for(integration: Integration, run_type: str) -> None:
    """Have this task's process, of a run by the clock, leave the processor to what a change or a person has started.

    When the clock strikes for many feeds, a change would else take as long as all of them. Whom people are paged by
    yields to nobody.
    """
    if run_type == "scheduled" and not integration.on_call:
        os.nice(YIELDS)


def _services() -> Services:
    from include.run.services import Services
    from include.settings import load_settings

    return Services(load_settings(), _airflow_connection)


def _airflow_connection(name: str) -> ConnectionDetails:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from include.destinations.connection import ConnectionDetails

    try:
        found = BaseHook.get_connection(name)
    except AirflowNotFoundException as error:
        raise errors.ConfigurationError(
            f"There is no Airflow connection {name}.", next_step="create it, or correct `destination` in the mapping"
        ) from error
    return ConnectionDetails(
        name=name,
        host=found.host or "",
        port=found.port,
        login=found.login,
        password=found.password,
        extra=found.extra_dejson,
    )


def _order() -> Order:
    from include.run.order import Order

    context = get_current_context()
    run = context["dag_run"]
    return Order(
        resend=bool(context["params"].get("resend")),
        rebaseline=bool(context["params"].get("rebaseline")),
        reconcile=bool(context["params"].get("reconcile")),
        dry_run=bool(context["params"].get("dry_run")),
        approve=context["params"].get("approve") or None,
        by=getattr(run, "triggering_user_name", None) or "",
        woken=run.run_type == "asset_triggered",
    )


def _run_id() -> str:
    return get_current_context()["run_id"]


def _is_last_try() -> bool:
    instance = get_current_context()["ti"]
    return instance.try_number > instance.max_tries


def _run_failed(context: Any) -> None:
    """A task whose process was killed on its last try wrote nothing down: do it for it."""
    from include.run.failure import failed_unless_recorded

    failed_unless_recorded(context["dag"].dag_id, context["run_id"], _services())
