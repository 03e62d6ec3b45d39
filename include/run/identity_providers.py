"""What identity providers publish, through the first three steps: asked, judged, and made what may be trusted.

The sign-in settings are frozen with what was read, so that a change of them concerns the next run only. One provider's
silence keeps no other from being refreshed: its row is pending, and the run says at its end that it did not answer.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from include.errors import DataRejected, DestinationUnavailable
from include.expectations.identity_providers import Said, judge_providers
from include.expectations.signed_in import RoleMap, judge_accounts, judge_roles
from include.expectations.trust_material import utc_now
from include.frames import Span
from include.ledger import runs
from include.ledger.trust_store import canonical
from include.mappings.sign_in import SignIn
from include.mappings.sign_in_file import Lists, load_lists, load_sign_in, sign_in_file
from include.run.frozen import frozen_mapping
from include.run.handed import ProviderDocuments, Validated, required
from include.run.keeping import recorded, stored_frame
from include.sources.accounts import read_accounts
from include.sources.discovery import Published, read_published
from include.transforms.user_authentication import ACCOUNT, BETWEEN, PROVIDER, JudgedSignIn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from include.frames import Transformed
    from include.integration import IdentityProviders, Integration
    from include.mappings.schema import FeedMapping
    from include.reasons import IncidentClass
    from include.run.beginning import Beginning
    from include.run.handed import Decided, Extracted
    from include.run.services import Services

_log = logging.getLogger(__name__)
#: Of what must be mended, so much is told at once; the rest when that is done.
_FAULTS_KEPT = 20
_NEXT_STEP = "look whether the identity provider is up, and whether this machine reaches it; the next run asks again"


@dataclass(frozen=True, slots=True)
class _Read:
    """What a run has read, and the settings that it goes by. ``read_at`` is real time: certificates go by that."""

    read_at: datetime
    sign_in: SignIn
    lists: Lists
    published: tuple[Published, ...]


def read_providers(begun: Beginning[IdentityProviders]) -> Extracted:
    """Ask every provider, and read who has signed in. Without a provider there is nothing to read.

    Raises:
        ConfigurationError: the sign-in settings are wrong.
        DestinationUnavailable: no provider answered.
        SourceNotReady: the database could not be read.
    """
    services = begun.services
    sign_in = load_sign_in(sign_in_file())
    read_at = utc_now() if sign_in.providers else begun.now  # without a document there is nothing that could end
    read = _Read(read_at, sign_in, load_lists(sign_in), tuple(map(read_published, sign_in.providers)))
    silent = {each.provider: each.unanswered for each in read.published if each.unanswered}
    if silent and len(silent) == len(read.published):
        raise no_answer(begun.mapping.feed, silent)
    matches = {provider.name: provider.match.field for provider in sign_in.providers}
    accounts = read_accounts(services.settings.ledger_dsn, matches)
    if not sign_in.providers:
        accounts = accounts.iloc[:0]
    content = ProviderDocuments(
        documents=services.artifacts.put_bytes(_frozen(read)).sha256,
        accounts=stored_frame(accounts, services),
        providers=len(read.published),
    )
    return begun.extracted(Span("providers"), content, len(read.published) + len(accounts))


def validate_providers(extracted: Extracted, services: Services) -> Validated:
    """Judge what the providers said, who has signed in, and whether the role map is complete.

    Raises:
        FencedOut: a newer run has started.
    """
    read, accounts = _thawed(extracted, services), _frame(extracted.published.accounts, services)
    said = {each.provider: Said(each.document, each.signed, each.unanswered, each.fault) for each in read.published}
    providers, checks = judge_providers(read.sign_in.providers, said, read.read_at)
    judged, of_accounts = judge_accounts(accounts, read.lists.staff)
    roles = RoleMap((), (), ())
    if read.sign_in.providers:
        seen = {group for groups in accounts.loc[accounts["field"].notna(), "groups"] for group in groups}
        roles = judge_roles(read.sign_in, read.lists, seen)
    for warning in roles.warnings:
        _log.warning("Feed %s: %s.", extracted.feed, warning)
    with services.ledger("validated") as connection:
        runs.validated(connection, extracted.claim, [*checks, *of_accounts, *roles.checks])
    providers["document"] = providers["document"].map(canonical, na_action="ignore").astype("str")
    return Validated(
        extracted,
        rows=stored_frame(providers, services),
        people=stored_frame(judged, services),
        mapped=services.artifacts.put_bytes(json.dumps(roles.faults).encode()).sha256,
        people_faults=int(judged["reason"].notna().sum()),
        mapping_faults=len(roles.faults),
    )


def decide_providers(integration: Integration, validated: Validated, services: Services) -> Decided:
    """Run the integration's transform and store its decisions, and what may be trusted.

    Raises:
        DataRejected: the transform did not account for every provider and account exactly once.
        FencedOut: a newer run has started.
    """
    extracted = validated.extracted
    with services.artifacts.open(required(validated.mapped)) as stored:
        role_faults = tuple(json.load(stored))
    judged = JudgedSignIn(
        _frame(required(validated.rows), services), _frame(required(validated.people), services), role_faults
    )
    transform = cast("Callable[[JudgedSignIn, FeedMapping], Transformed]", integration.transform)
    result = transform(judged, frozen_mapping(extracted, services))
    _account_for_every_row(result, judged, extracted)
    return recorded(extracted, result, None, services)


def unanswered(decided: Decided, services: Services) -> dict[str, str]:
    """The rows of providers that did not answer, and why: what was trusted of them before stays in force."""
    decisions, trusted = _frame(required(decided.decisions), services), _frame(decided.snapshot, services)
    silent = decisions[
        decisions["outcome"].eq("included")
        & decisions["slot_id"].str.startswith(PROVIDER)
        & ~decisions["slot_id"].isin(trusted["slot_id"])
    ]
    return {str(row.slot_id): str(row.detail) for row in silent.itertuples()}


def no_answer(feed: str, silent: Mapping[str, str]) -> DestinationUnavailable:
    """The error of a run some of whose providers did not answer (name → why)."""
    told = "; ".join(f"{name.removeprefix(PROVIDER)} ({why})" for name, why in silent.items())
    return DestinationUnavailable(f"Feed {feed}: no answer of {told}.", next_step=_NEXT_STEP)


def findings(decided: Decided, services: Services) -> dict[IncidentClass, dict[str, Any]]:
    """What somebody must mend, as the facts of the incidents about it: accounts apart from providers and the role map.

    ``what``: ``accounts``, ``trust`` (a provider was rejected) or ``trust_reported`` (all of it is trusted all the
    same); ``faults``: by row or, of the role map, for all at once.
    """
    decisions = _frame(required(decided.decisions), services)
    rejected = decisions[decisions["outcome"].eq("rejected")]
    accounts = [f"{row.slot_id}: {row.detail}" for row in rejected.itertuples() if _is_account(row.slot_id)]
    refused = [f"{row.slot_id}: {row.detail}" for row in rejected.itertuples() if not _is_account(row.slot_id)]
    reported: dict[str, None] = {}
    for row in decisions[decisions["outcome"].eq("included") & decisions["also"].notna()].itertuples():
        for reason, detail in zip(str(row.also).split(", "), str(row.detail).split(BETWEEN), strict=True):
            reported["role map: " + detail if reason == "mapping_incomplete" else f"{row.slot_id}: {detail}"] = None
    found: dict[IncidentClass, dict[str, Any]] = {}
    if accounts:
        found["id_matching"] = _told("accounts", accounts)
    if refused or reported:
        found["mapping"] = _told("trust" if refused else "trust_reported", [*refused, *reported])
    return found


def _told(what: str, faults: list[str]) -> dict[str, Any]:
    return {"what": what, "faults": faults[:_FAULTS_KEPT], "fault_count": len(faults)}


def _is_account(slot_id: object) -> bool:
    return str(slot_id).startswith(ACCOUNT)


def _frozen(read: _Read) -> bytes:
    lists = {"staff": sorted(read.lists.staff), "groups": sorted(read.lists.groups or ())}
    return json.dumps(
        {
            "read_at": read.read_at.isoformat(),
            "sign_in": read.sign_in.model_dump(mode="json"),
            "lists": lists | ({} if read.lists.groups is not None else {"groups": None}),
            "published": [asdict(each) for each in read.published],
        },
        ensure_ascii=False,
        sort_keys=True,
    ).encode()


def _thawed(extracted: Extracted, services: Services) -> _Read:
    with services.artifacts.open(extracted.published.documents) as stored:
        parts: dict[str, Any] = json.load(stored)
    groups = parts["lists"]["groups"]
    return _Read(
        datetime.fromisoformat(parts["read_at"]),
        SignIn.model_validate_json(json.dumps(parts["sign_in"])),
        Lists(frozenset(parts["lists"]["staff"]), None if groups is None else frozenset(groups)),
        tuple(Published(**each) for each in parts["published"]),
    )


def _frame(sha256: str, services: Services) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(services.artifacts.path(sha256))


def _account_for_every_row(result: Transformed, judged: JudgedSignIn, extracted: Extracted) -> None:
    expected = {f"{PROVIDER}{name}" for name in judged.providers["provider"]}
    expected |= {f"{ACCOUNT}{name}" for name in judged.accounts["account"]}
    decided = list(result.decisions["slot_id"])
    wrong = len(expected ^ set(decided)) + len(decided) - len(set(decided)) + abs(len(decided) - extracted.rows)
    if wrong:
        raise DataRejected(
            f"Feed {extracted.feed}: of {extracted.rows} providers and accounts, {wrong} are not accounted for once.",
            next_step="report this: the integration's transform lost or repeated a row",
        )
