"""Who may sign in, and as what: the identity providers, which of their groups has which role, the staff list.

One YAML file, named by ``CALLBOARD_SIGN_IN``; no file, no provider. Here is only its shape;
:mod:`include.mappings.sign_in_file` reads it. File names in it are those of files beside it, or absolute paths.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from include.errors import ConfigurationError
from include.mappings.schema import Strict, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The roles that Airflow brings along.
AIRFLOW_ROLES = frozenset({"Admin", "Op", "User", "Viewer", "Public"})

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_ENTRA_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_LONGEST_SECRET = 8192
#: Claims that change, or become another person's after some years (OpenID Connect Core 1.0, section 5.7).
_CHANGING_CLAIMS = frozenset({"email", "preferred_username", "upn", "name", "unique_name"})


def _name(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("must be a short name like entra-saml: lower-case letters, digits and hyphens")
    if value == "local":
        raise ValueError("must not be local: that is where the emergency account signs in")
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.match(value):
        raise ValueError("must be the name of an environment variable, like OKTA_CLIENT_SECRET")
    return value


def _file(value: Path) -> Path:
    if not str(value).isprintable() or not value.name or ".." in value.parts:
        raise ValueError("must be the name of a file beside this one, or an absolute path")
    return value


def _csv(value: Path) -> Path:
    if value.suffix != ".csv":
        raise ValueError("must name a .csv file")
    return value


def safe_address(value: str) -> str:
    """Accept ``https://`` addresses, and ``http://`` on this machine alone, without credentials in them.

    Raises:
        ValueError: it is anything else; the message follows the name of what holds it.
    """
    parts = urlsplit(value)
    if not value.isprintable() or " " in value or not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("must be an address that begins with https://")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https://; http:// is for this machine alone")
    if parts.username is not None or parts.fragment:
        raise ValueError("must be an address without a user, a password or a '#'")
    return value


def is_loopback(host: str) -> bool:
    """Whether a host of an address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _issuer(value: str) -> str:
    if "?" in safe_address(value):
        raise ValueError("must be an address without a '?'")
    return value


def _scopes(value: tuple[str, ...]) -> tuple[str, ...]:
    if "openid" not in value:
        raise ValueError("must contain openid: without it there is no ID token")
    return value


def _lasting(value: str) -> str:
    if value in _CHANGING_CLAIMS:
        raise ValueError("must be a claim that stays a person's for ever, like sub or oid: names and addresses change")
    return value


def _entity(value: str) -> str:
    if set(value) & set("'\"<>") or not value.isprintable():
        raise ValueError("must be an entity ID, as the metadata have it: without quotes and angle brackets")
    return value


Name = Annotated[Text, AfterValidator(_name)]
Variable = Annotated[Text, AfterValidator(_variable)]
FileName = Annotated[Path, AfterValidator(_file)]
CsvName = Annotated[FileName, AfterValidator(_csv)]
Issuer = Annotated[Text, AfterValidator(_issuer)]
Url = Annotated[Text, AfterValidator(safe_address)]
LastingClaim = Annotated[Text, AfterValidator(_lasting)]
EntityId = Annotated[Text, AfterValidator(_entity)]


class Match(Strict):
    """By what an account is found among the people of the schedule, and on the staff list."""

    claim: Text = "email"
    """What the provider says of who signs in: a claim, or of SAML an attribute (`email` is the one that `attributes`
    names)."""
    field: Literal["email", "unique_id", "custom1", "custom2", "custom3", "custom4", "npi", "emp_id"] = "email"
    """The field of personnel that holds the same value."""


class OidcProvider(Strict):
    """One provider of OAuth 2.0 / OpenID Connect: Entra, Okta, Ping, or any other that can be discovered."""

    protocol: Literal["oidc"]
    """`oidc`."""
    name: Name
    """A short name: part of the redirect address, and of every account's name. It must not change afterwards."""
    title: Text
    """What the sign-in page calls it."""
    issuer: Issuer
    """The issuer, exactly as the provider's discovery document writes it. Of Entra the one with the tenant's GUID."""
    client_id: Text
    """What this installation is called there."""
    client_secret_file: FileName | None = None
    """A file that holds the client secret, and nothing else."""
    client_secret_env: Variable | None = None
    """The environment variable that holds the client secret."""
    scopes: Annotated[tuple[Text, ...], AfterValidator(_scopes)] = ("openid", "profile", "email")
    """What is asked for; some providers want `groups` as well."""
    id_claim: LastingClaim = "sub"
    """The claim that stays the same for a person for ever; of Entra `oid`. Never a name or a mail address."""
    groups_claim: Text = "groups"
    """The claim that lists a person's groups; of Entra's app roles `roles`."""
    userinfo: bool = False
    """Whether the userinfo endpoint is asked too, where the ID token does not list the groups; not for Entra."""
    match: Match = Match()
    """How accounts are found among the people."""

    @model_validator(mode="after")
    def _one_secret(self) -> OidcProvider:
        if (self.client_secret_file is None) is (self.client_secret_env is None):
            raise ValueError("needs one of client_secret_file and client_secret_env, and not both")
        return self

    @property
    def discovery_url(self) -> str:
        """Where the provider describes itself (OpenID Connect Discovery 1.0, section 4)."""
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    def client_secret(self) -> str:
        """The client secret, read now: a rotated one is taken up without a restart.

        Raises:
            ConfigurationError: it is missing, empty or too long to be one.
        """
        if self.client_secret_env is not None:
            secret, place = os.environ.get(self.client_secret_env, ""), self.client_secret_env
        else:
            file = self.client_secret_file or Path()
            secret, place = _text_of(file), file.name
        if not 0 < len(secret.strip()) < _LONGEST_SECRET:
            raise ConfigurationError(
                f"Sign-in: the client secret of {self.name} is missing: {place} is empty, or cannot be read.",
                next_step="put the secret that the identity provider shows for this client there",
            )
        return secret.strip()


class SamlAttributes(Strict):
    """Which attribute of an assertion says what; the defaults are Entra's."""

    email: Text = f"{_ENTRA_CLAIMS}emailaddress"
    """The mail address."""
    first_name: Text = f"{_ENTRA_CLAIMS}givenname"
    """The given name."""
    last_name: Text = f"{_ENTRA_CLAIMS}surname"
    """The family name."""
    groups: Text = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
    """The groups, one value each."""


class SamlProvider(Strict):
    """One provider of SAML 2.0: Entra, Ping, or any other that publishes metadata."""

    protocol: Literal["saml"]
    """`saml`."""
    name: Name
    """A short name: part of every account's name. It must not change afterwards."""
    title: Text
    """What the sign-in page calls it."""
    metadata_url: Url | None = None
    """Where the provider publishes its metadata: read every hour, so that a new certificate is known in time."""
    metadata_file: FileName | None = None
    """The metadata as a file that the provider exported: read every hour too, but somebody has to replace it."""
    entity_id: EntityId | None = None
    """The provider's entity ID, where it must be this one, or where the metadata describe several."""
    metadata_certificate_file: FileName | None = None
    """The certificate (PEM) that the metadata must be signed with."""
    attributes: SamlAttributes = SamlAttributes()
    """Which attribute says what."""
    match: Match = Match()
    """How accounts are found among the people."""

    @model_validator(mode="after")
    def _one_place(self) -> SamlProvider:
        if (self.metadata_url is None) is (self.metadata_file is None):
            raise ValueError("needs one of metadata_url and metadata_file, and not both")
        return self


Provider = Annotated[OidcProvider | SamlProvider, Field(discriminator="protocol")]


class SignIn(Strict):
    """Everything about signing in. Nobody is let in by default: without a group of ``roles`` there is no role."""

    providers: tuple[Provider, ...] = ()
    """The identity providers, in the order in which the sign-in page shows them."""
    roles: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """Which group has which roles of Airflow: `Admin`, `Op`, `User`, `Viewer`, `Public`, or one of `own_roles`."""
    own_roles: tuple[Text, ...] = ()
    """Roles beside Airflow's own that somebody must be able to have."""
    staff: CsvName | None = None
    """The platform's own staff list: who may sign in without being one of the schedule's people. A CSV file with the
    columns `value` (what the matched claim says) and `note`."""
    groups: CsvName | None = None
    """The groups that the identity provider knows: a CSV file with the column `group`. Left out: those that were seen
    when somebody signed in."""
    session_minutes: int = Field(default=480, ge=5, le=60 * 24 * 7)
    """After how many minutes everybody has to sign in again."""
    saml_key_file: FileName | None = None
    """The private key (PEM) of this installation, for signed requests and encrypted assertions."""
    saml_certificate_file: FileName | None = None
    """Its certificate (PEM)."""
    break_glass: tuple[Text, ...] = ()
    """The local accounts that may sign in with a password, for when no provider answers."""

    @model_validator(mode="after")
    def _consistent(self) -> SignIn:
        twice = repeated(provider.name for provider in self.providers)
        if twice:
            raise ValueError(f"names the provider {twice[0]!r} twice")
        if (self.saml_key_file is None) is not (self.saml_certificate_file is None):
            raise ValueError("names one of saml_key_file and saml_certificate_file; a key needs its certificate")
        return self

    @property
    def has_saml(self) -> bool:
        """Whether assertions come by a form that another site posts, so that cookies must come along with it."""
        return any(isinstance(provider, SamlProvider) for provider in self.providers)

    def provider(self, name: str) -> OidcProvider | SamlProvider | None:
        """The provider of that name, if there still is one."""
        return next((each for each in self.providers if each.name == name), None)


def repeated(words: Iterable[str]) -> list[str]:
    """The words that stand there more than once."""
    return [word for word, times in Counter(words).items() if times > 1]


def _text_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_LONGEST_SECRET).decode()
    except (OSError, UnicodeDecodeError):
        return ""
