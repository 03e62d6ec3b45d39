"""The sign-in page, and the ways back from the identity providers."""

# mypy: disable-error-code="untyped-decorator"
# Flask-AppBuilder's decorator has no types.
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import conf
from airflow.providers.fab.www.app import csrf
from flask import Response, current_app, g, request, session
from flask_appbuilder import expose
from flask_appbuilder.security.views import AuthView

from include.errors import ConfigurationError, SourceNotReady
from include.sign_in import oidc, records, saml
from include.sign_in.accounts import account_of, ledger_dsn
from include.sign_in.pages import TEMPLATES, answered, go, page, safe
from include.sign_in.refusals import NOT_AVAILABLE, NOT_PROVED, UNKNOWN_PROVIDER, SignInRefused
from include.sign_in.settings import OidcProvider, SamlProvider, SignIn
from include.sign_in.trust import Trusted, forget, is_of, trusted

if TYPE_CHECKING:
    from include.sign_in.identity import Identity
    from include.sign_in.manager import SignInSecurityManager

_LARGEST_FORM = 1024 * 1024  # bytes; a response with some hundred groups has a tenth of it


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the sign-in page. ``why_not`` is empty where one can sign in."""

    name: str
    title: str
    why_not: str


class SignInView(AuthView):  # type: ignore[misc]  # flask_appbuilder is not followed
    """One page for all identity providers; only what the trust store knows of them counts."""

    template_folder = TEMPLATES

    @expose("/login/")
    @answered
    def login(self) -> Response:
        """Show the providers, one link each, in the settings' order."""
        if g.user is not None and g.user.is_authenticated:
            return go(safe(request.args.get("next")))
        choices = [Choice(each.name, each.title, self._why_not(each)) for each in _sign_in().providers]
        wanted = request.args.get("next", "")
        return page("callboard_sign_in.html", choices=choices, wanted=wanted, local=bool(_sign_in().break_glass))

    @expose("/login/<provider>")
    @answered
    def begin(self, provider: str) -> Response:
        """Send the browser to a provider."""
        found, wanted = self._provider(provider), request.args.get("next", "")
        if isinstance(found, OidcProvider):
            return go(oidc.start(self._client(found), self._redirect_uri(found), wanted, session))
        return go(saml.start(self._trusted(found), _sign_in(), _base_url(), wanted, session))

    @expose("/oauth-authorized/<provider>")
    @answered
    def oauth_authorized(self, provider: str) -> Response:
        """Let in whom an OpenID provider sends back."""
        found = self._provider(provider)
        if not isinstance(found, OidcProvider):
            raise SignInRefused(UNKNOWN_PROVIDER)
        identity, wanted = oidc.finish(self._client(found), request.args, session)
        return self._let_in(identity, wanted)

    @expose("/saml/acs/", methods=["POST"])
    @answered
    def acs(self) -> Response:
        """Let in whom a SAML provider sends back."""
        if (request.content_length or 0) > _LARGEST_FORM:
            raise SignInRefused(NOT_PROVED, "too_large")
        request_id, name, wanted = saml.answered(request.form, session)
        found = self._provider(name)
        if not isinstance(found, SamlProvider):
            raise SignInRefused(UNKNOWN_PROVIDER)
        kept = self._trusted(found)
        return self._let_in(saml.finish(found, kept, _sign_in(), _base_url(), request.form, request_id), wanted)

    @expose("/saml/metadata/")
    @answered
    def saml_metadata(self) -> Response:
        """What a SAML provider has to know about this installation."""
        if not _sign_in().has_saml:
            raise SignInRefused(UNKNOWN_PROVIDER)
        return Response(saml.metadata(_sign_in(), _base_url()), mimetype="application/samlmetadata+xml")

    def _let_in(self, identity: Identity, wanted: str) -> Response:
        user = account_of(_manager(), _sign_in(), identity)
        records.let_in(identity.provider, identity.username, sorted(role.name for role in user.roles))
        _manager().let_in(user)  # last: whoever is let in was written down
        return go(safe(wanted))

    def _provider(self, name: str) -> OidcProvider | SamlProvider:
        found = _sign_in().provider(name)
        if found is None:
            raise SignInRefused(UNKNOWN_PROVIDER)
        return found

    def _trusted(self, provider: OidcProvider | SamlProvider) -> Trusted:
        """What the trust store has of a provider.

        Raises:
            SignInRefused: nothing yet, or nothing that can be read: then nobody of that provider is let in.
        """
        try:
            found = trusted(ledger_dsn()).get(provider.name)
        except (SourceNotReady, ConfigurationError):
            raise SignInRefused(NOT_AVAILABLE, "no_trust_store", provider=provider.name) from None
        if found is None:
            raise SignInRefused(NOT_AVAILABLE, "not_in_trust_store", provider=provider.name)
        if not is_of(provider, found):
            raise SignInRefused(NOT_AVAILABLE, "metadata", provider=provider.name)
        return found

    def _client(self, provider: OidcProvider) -> oidc.PinnedClient:
        def again() -> Trusted:
            forget()
            return self._trusted(provider)

        try:
            return oidc.PinnedClient(provider, self._trusted(provider), again)
        except ConfigurationError:
            raise SignInRefused(NOT_AVAILABLE, "client_secret", provider=provider.name) from None

    def _why_not(self, provider: OidcProvider | SamlProvider) -> str:
        try:
            if isinstance(provider, OidcProvider):
                self._client(provider)
            else:
                saml.in_time(self._trusted(provider))
        except SignInRefused as refused:
            return _WHY_NOT[refused.check]
        return ""

    @staticmethod
    def _redirect_uri(provider: OidcProvider) -> str:
        return f"{_base_url()}/auth/oauth-authorized/{provider.name}"


_WHY_NOT = {
    "no_trust_store": "the database that says whom to trust does not answer",
    "not_in_trust_store": "what it says of itself was not found to be in order yet (Dag user_authentication)",
    "metadata": "what it says of itself does not fit the settings",
    "certificates": "the certificates to verify its signatures by have ended",
    "client_secret": "its client secret is missing",
}


def _manager() -> SignInSecurityManager:
    found: SignInSecurityManager = current_app.extensions["appbuilder"].sm
    return found


def _sign_in() -> SignIn:
    return _manager().sign_in


def _base_url() -> str:
    """Airflow's address as browsers see it: what headers say of it may be a proxy's, or anybody's."""
    return str(conf.get_mandatory_value("api", "base_url")).rstrip("/")


# The provider's site posts the form with the assertion: its signature, and the sign-in that it must answer, stand in
# for a CSRF token.
csrf.exempt(SignInView.acs)
