"""The account in Airflow of whoever a provider proved: found by its name alone, with the roles of today's groups."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from include.database import transaction
from include.errors import ConfigurationError
from include.ledger import trust_store
from include.sign_in.refusals import ACCOUNT_TAKEN, DEACTIVATED, NO_ROLE, RefusalReason, SignInRefused

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.models import Role, User

    from include.sign_in.identity import Identity
    from include.sign_in.manager import SignInSecurityManager
    from include.sign_in.settings import SignIn

log = logging.getLogger(__name__)

#: No password has this hash: accounts of providers sign in with their provider, and not otherwise.
NO_PASSWORD = "*"  # noqa: S105 - the opposite of one


def ledger_dsn() -> str:
    """Where the trust store is.

    Raises:
        ConfigurationError: ``CALLBOARD_LEDGER_DSN`` is not set.
    """
    dsn = os.environ.get("CALLBOARD_LEDGER_DSN")
    if not dsn:
        raise ConfigurationError("CALLBOARD_LEDGER_DSN is not set.", next_step="set it for the API server too")
    return dsn


def account_of(manager: SignInSecurityManager, sign_in: SignIn, identity: Identity) -> User:
    """The account, made or brought up to date, with exactly the roles that the role map has for the person's groups.

    Raises:
        SignInRefused: no role, deactivated, or the name or mail address is another account's.
        SourceNotReady: the ledger cannot be reached.
    """
    roles = _roles(manager, sign_in, identity)
    user: User | None = manager.find_user(username=identity.username)
    with transaction(ledger_dsn()) as connection:
        trust_store.signed_in(
            connection,
            username=identity.username,
            provider=identity.provider,
            matched_by=identity.matched_by,
            groups=identity.groups,
            roles=[role.name for role in roles],
        )
    if user is not None and user.username != identity.username:
        # Airflow's names do not tell upper from lower case, but a provider's do.
        raise _refused(ACCOUNT_TAKEN, "username", identity)
    if user is not None:  # first of all: whatever is refused below, nobody keeps a role that they lost
        _save(manager, identity, user, {"roles": roles, "groups": []})
    if user is not None and not user.active:
        raise _refused(DEACTIVATED, "", identity)
    if not roles:
        raise _refused(NO_ROLE, "", identity)
    email = identity.email or f"{identity.username}@email.notfound"
    other = manager.find_user(email=email)
    if other is not None and (user is None or other.id != user.id):
        raise _refused(ACCOUNT_TAKEN, "email", identity)
    if user is None:
        user = manager.user_model(username=identity.username, password=NO_PASSWORD, active=True)
    told = {"email": email, "first_name": identity.first_name, "last_name": identity.last_name}
    _save(manager, identity, user, {"roles": roles, "groups": [], **told})
    return user


def _roles(manager: SignInSecurityManager, sign_in: SignIn, identity: Identity) -> list[Role]:
    names = sorted({name for group in identity.groups for name in sign_in.roles.get(group, ())})
    found = {name: manager.find_role(name) for name in names}
    for name in (name for name, role in found.items() if role is None):
        log.warning("The role map names the role %s, which Airflow does not have", name)
    return [role for role in found.values() if role is not None]


def _save(manager: SignInSecurityManager, identity: Identity, user: User, values: dict[str, Any]) -> None:
    from sqlalchemy.exc import IntegrityError

    for name, value in values.items():
        setattr(user, name, value)
    manager.session.add(user)
    try:
        manager.session.commit()
    except IntegrityError:  # another sign-in made an account of this name or mail address at the same moment
        manager.session.rollback()
        raise _refused(ACCOUNT_TAKEN, "race", identity) from None


def _refused(reason: RefusalReason, check: str, identity: Identity) -> SignInRefused:
    return SignInRefused(reason, check, provider=identity.provider, username=identity.username)
