"""Whom a mail about a feed goes to, and what the feed and its partner are called in it."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from include.errors import CallboardError
from include.ledger import runs
from include.mappings.loader import feeds
from include.mappings.schemas import schema_for, slugs
from include.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from include.mappings.loader import FeedHead
    from include.mappings.schema import Recipients
    from include.reasons import IncidentClass
    from include.run.services import Services

_PARTNER = re.compile(
    r"^\| \*\*Partner\*\* \| (?P<partner>[^;|]*)(?:; contact: (?P<contact>[^|]*?))? *\|$", re.MULTILINE
)
_OTHERWISE = re.compile(r"^\*\*If nobody acts\*\*: (?P<text>.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """What an integration's page (its Dag file's docstring) says to people; each part may be empty.

    ``takes_in``: it takes in what the partner sends.
    """

    title: str = ""
    partner: str = ""
    contact: str = ""
    otherwise: str = ""
    takes_in: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """A feed as its mails need it."""

    recipients: tuple[str, ...]
    page: Page


def about(
    connection: Connection, services: Services, feed: str, kind: IncidentClass, administrators: tuple[str, ...]
) -> About:
    """Look a feed up, '' being the platform itself.

    A mapping that cannot be read says nothing: then those whom it named when a run last read it hear of it. Where that
    is nobody, it is the installation's administrators.
    """
    if not feed:
        return About(administrators, Page())
    head = _head(services, feed)
    recipients = head.recipients.of(kind) if head else ()
    if not recipients:
        frozen = _last_recipients(connection, services, feed)
        recipients = frozen.of(kind) if frozen else ()
    page = page_of(head.integration) if head and head.integration else Page()
    return About(recipients or administrators, page)


@lru_cache
def page_of(slug: str) -> Page:
    """Read an integration's page, without running anything of its Dag file."""
    try:
        text = ast.get_docstring(ast.parse((PROJECT_ROOT / "dags" / f"{slug}.py").read_text("utf-8"))) or ""
    except (OSError, SyntaxError):
        return Page()
    partner, otherwise = _PARTNER.search(text), _OTHERWISE.search(text)
    return Page(
        title=text.splitlines()[0].removeprefix("# ").strip() if text else "",
        partner=partner["partner"].strip() if partner else "",
        contact=(partner["contact"] or "").strip() if partner else "",
        otherwise=" ".join(otherwise["text"].split()) if otherwise else "",
        takes_in=slug in slugs() and schema_for(slug).takes_in,
    )


def _head(services: Services, feed: str) -> FeedHead | None:
    with suppress(CallboardError):
        return next((head for head in feeds(services.settings.mappings) if head.feed == feed), None)
    return None


def _last_recipients(connection: Connection, services: Services, feed: str) -> Recipients | None:
    from include.mappings.frozen import thaw

    version = runs.last_mapping(connection, feed)
    if version is None:
        return None
    with suppress(CallboardError), services.artifacts.open(version) as stored:
        return thaw(stored.read()).recipients
    return None
