"""The FAB auth manager's security manager where identity providers are configured."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from flask import current_app

from include.sign_in.flask_settings import CONFIG_KEY
from include.sign_in.local import LocalSignInView
from include.sign_in.view import SignInView

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.models import User

    from include.sign_in.settings import SignIn

#: Passwords that may be tried from one address; the sign-in page has no other form.
_PASSWORD_LIMIT = "5 per 40 second"  # noqa: S105 - a rate
_NOBODY = " "  # no account is called so


class SignInSecurityManager(FabAirflowSecurityManagerOverride):
    """Airflow's own, with our sign-in page, and passwords for nobody whom a provider knows."""

    authoauthview = SignInView

    @property
    def sign_in(self) -> SignIn:
        """The settings of signing in."""
        found: SignIn = current_app.config[CONFIG_KEY]
        return found

    def register_views(self) -> None:
        """Add the form of the local accounts, where there may be some."""
        super().register_views()
        if self.sign_in.break_glass:
            local = LocalSignInView()
            self.appbuilder.add_view_no_menu(local)
            self.limiter.limit(_PASSWORD_LIMIT, methods=["POST"])(local.blueprint)

    def is_a_providers(self, username: str) -> bool:
        """Whether an account of that name belongs to somebody whom a provider knows."""
        return any(username.startswith(f"{provider.name}_") for provider in self.sign_in.providers)

    def auth_user_db(self, username: str, password: str, rotate_session_id: bool = True) -> User | None:
        """Let a program's account in, at POST /auth/token.

        Whoever a provider knows would otherwise stay in with a password after the provider has put them out. Emergency
        accounts have their form, which limits how often a password is tried and writes each use down: here nothing
        does.
        """
        meant = self.find_user(username=username) or self.find_user(email=username) if username else None
        if meant is not None and not self._has_password(meant.username):
            username = _NOBODY  # takes as long as a wrong password, and counts no failure of theirs
        return self._by_password(username, password, rotate_session_id)

    def emergency_user(self, username: str, password: str) -> User | None:
        """The emergency account of exactly that name, if that is its password; for its form alone."""
        named = username in self.sign_in.break_glass and not self.is_a_providers(username)
        # A name that is not in the settings takes as long as a wrong password, and is written down nowhere: people type
        # passwords into the wrong field.
        user = self._by_password(username if named else _NOBODY, password, rotate_session_id=False)
        return None if user is None or user.username != username else user

    def _has_password(self, username: str) -> bool:
        emergency = {name.lower() for name in self.sign_in.break_glass}  # as Airflow compares them
        return not self.is_a_providers(username) and username.lower() not in emergency

    def _by_password(self, username: str, password: str, rotate_session_id: bool) -> User | None:
        user: User | None = super().auth_user_db(username, password, rotate_session_id) if password else None
        return user

    def reset_password(self, userid: int, password: str) -> bool:
        """Give a local account another password."""
        user = self.get_user_by_id(userid)
        if user is None or self.is_a_providers(user.username):
            return False
        done: bool = super().reset_password(userid, password)
        return done

    def update_user_auth_stat(self, user: User, success: bool = True) -> None:
        """Count a sign-in, or one that failed, as Airflow does; but its own way logs the person's name each time."""
        if success:
            user.login_count = (user.login_count or 0) + 1
            user.last_login = datetime.now()  # noqa: DTZ005 - Flask-AppBuilder keeps local time without a zone
            user.fail_login_count = 0
        else:
            user.fail_login_count = (user.fail_login_count or 0) + 1
        self.session.add(user)
        self.session.commit()
        (self.on_user_login if success else self.on_user_login_failed)(user)

    def let_in(self, user: User) -> None:
        """Begin the session of somebody who was proved: under a new id, so that nobody can have planted it."""
        from flask_login import login_user

        self._rotate_session_id()
        self.update_user_auth_stat(user)
        login_user(user, remember=False)
