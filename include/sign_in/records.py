"""What is written down of sign-ins: each in the log; those with a proved name in Airflow's audit log too.

The audit log is where Airflow keeps who did what (Browse → Audit Log). What anybody at all can cause, without having
proved anything, stays out of it: it could be filled by anybody.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.sign_in.refusals import SignInRefused

log = logging.getLogger(__name__)

#: Who has signed in with a password of this installation, instead of a provider.
LOCAL = "local"


def let_in(provider: str, username: str, roles: list[str]) -> None:
    """Somebody was let in. With a password, that is a warning: it is meant for emergencies."""
    level = logging.WARNING if provider == LOCAL else logging.INFO
    log.log(level, "Signed in: provider=%s user=%s roles=%s", provider, username, ",".join(roles))
    _audit("sign_in_local" if provider == LOCAL else "sign_in", username, {"provider": provider, "roles": roles})


def refused(error: SignInRefused) -> None:
    """Nobody was let in."""
    log.warning(
        "Sign-in refused: reason=%s check=%s provider=%s user=%s",
        error.reason.name,
        error.check or "-",
        error.provider or "-",
        error.username or "-",
    )
    if error.username:
        event = "sign_in_local_refused" if error.provider == LOCAL else "sign_in_refused"
        _audit(event, error.username, {"provider": error.provider, "reason": error.reason.name})


def _audit(event: str, username: str, extra: dict[str, object]) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        session.add(Log(event=event, owner=username[:500], extra=json.dumps(extra)))
