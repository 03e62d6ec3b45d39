"""The way in for when no identity provider answers: a password, for the local accounts that the settings name."""

# mypy: disable-error-code="untyped-decorator"
# Flask-AppBuilder's decorator has no types.
from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, request
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.forms import LoginForm_db

from include.sign_in import records
from include.sign_in.pages import TEMPLATES, answered, go, page, safe
from include.sign_in.refusals import WRONG_PASSWORD, SignInRefused

if TYPE_CHECKING:
    from include.sign_in.manager import SignInSecurityManager


class LocalSignInView(BaseView):  # type: ignore[misc]  # flask_appbuilder is not followed
    """A form with a CSRF token, registered only where the settings name somebody. The manager limits its use."""

    route_base = ""
    template_folder = TEMPLATES

    @expose("/login/local", methods=["GET", "POST"])
    @answered
    def local(self) -> Response:
        """Ask for a name and a password, and let in whoever has both."""
        manager: SignInSecurityManager = self.appbuilder.sm
        form = LoginForm_db()
        if not form.validate_on_submit():
            return page("callboard_local.html", form=form)
        named = form.username.data in manager.sign_in.break_glass
        user = manager.emergency_user(form.username.data, form.password.data)
        if user is None:
            raise SignInRefused(WRONG_PASSWORD, provider=records.LOCAL, username=form.username.data if named else "")
        records.let_in(records.LOCAL, user.username, sorted(role.name for role in user.roles))
        manager.let_in(user)  # last: whoever is let in was written down
        return go(safe(request.args.get("next")))
