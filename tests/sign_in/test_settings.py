"""The sign-in settings: what each key does, and each fault with its file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from include.errors import ConfigurationError
from include.settings import PROJECT_ROOT
from include.sign_in.settings import (
    Match,
    OidcProvider,
    SamlAttributes,
    SamlProvider,
    SignIn,
    load_lists,
    load_sign_in,
    sign_in_file,
)

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
providers:
  - protocol: oidc
    name: okta
    title: Okta
    issuer: https://example.okta.com
    client_id: callboard
    client_secret_file: okta.secret
    scopes: [openid, groups]
    id_claim: oid
    groups_claim: roles
    userinfo: true
    match: {claim: employee, field: custom3}
  - protocol: saml
    name: entra
    title: Entra
    metadata_url: https://login.example.com/metadata.xml
    entity_id: https://sts.example.com/
    metadata_certificate_file: trust.pem
    attributes: {email: mail, first_name: given, last_name: family, groups: memberOf}
roles:
  admins: [Admin]
  nurses: [Viewer, Payroll]
own_roles: [Payroll]
staff: staff.csv
groups: groups.csv
session_minutes: 60
saml_key_file: callboard.key
saml_certificate_file: callboard.crt
break_glass: [rescue]
"""
OIDC = """\
providers:
  - protocol: oidc
    name: okta
    title: Okta
    issuer: https://example.okta.com
    client_id: callboard
    client_secret_env: OKTA_SECRET
"""
SAML = """\
providers:
  - protocol: saml
    name: ping
    title: Ping
    metadata_file: ping.xml
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("trust.pem", "callboard.key", "callboard.crt"):
        (tmp_path / name).write_text("-")
    (tmp_path / "staff.csv").write_text("value,note\nanna@example.org,platform\nBen,\n")
    (tmp_path / "groups.csv").write_text("group\nadmins\nnurses\n")
    (tmp_path / "okta.secret").write_text("  very secret\n")
    return tmp_path


def read(folder: Path, text: str) -> SignIn:
    file = folder / "sign_in.yaml"
    file.write_text(text, "utf-8")
    return load_sign_in(file)


def test_everything_that_is_said_is_kept(folder: Path) -> None:
    """Each value differs from its default: one that was ignored would show."""
    found = read(folder, WHOLE)
    assert found == SignIn(
        providers=(
            OidcProvider(
                protocol="oidc",
                name="okta",
                title="Okta",
                issuer="https://example.okta.com",
                client_id="callboard",
                client_secret_file=folder / "okta.secret",
                scopes=("openid", "groups"),
                id_claim="oid",
                groups_claim="roles",
                userinfo=True,
                match=Match(claim="employee", field="custom3"),
            ),
            SamlProvider(
                protocol="saml",
                name="entra",
                title="Entra",
                metadata_url="https://login.example.com/metadata.xml",
                entity_id="https://sts.example.com/",
                metadata_certificate_file=folder / "trust.pem",
                attributes=SamlAttributes(email="mail", first_name="given", last_name="family", groups="memberOf"),
            ),
        ),
        roles={"admins": ("Admin",), "nurses": ("Viewer", "Payroll")},
        own_roles=("Payroll",),
        staff=folder / "staff.csv",
        groups=folder / "groups.csv",
        session_minutes=60,
        saml_key_file=folder / "callboard.key",
        saml_certificate_file=folder / "callboard.crt",
        break_glass=("rescue",),
    )
    differs = {SignIn: found, OidcProvider: found.providers[0], SamlProvider: found.providers[1]}
    for model, value in differs.items():
        for name, info in model.model_fields.items():
            same = not info.is_required() and getattr(value, name) == info.get_default(call_default_factory=True)
            assert not same or name in {"client_secret_env", "metadata_file", "match"}, f"{name} is not looked at here"


def test_what_is_left_out_has_a_safe_default(folder: Path) -> None:
    found = read(folder, OIDC)
    provider = found.providers[0]
    assert isinstance(provider, OidcProvider)
    assert (provider.scopes, provider.id_claim, provider.groups_claim) == (
        ("openid", "profile", "email"),
        "sub",
        "groups",
    )
    assert (provider.userinfo, provider.match) == (False, Match(claim="email", field="email"))
    assert (found.roles, found.break_glass, found.session_minutes) == ({}, (), 480)
    saml = read(folder, SAML).providers[0]
    assert isinstance(saml, SamlProvider)
    assert saml.metadata_file == folder / "ping.xml"
    assert saml.attributes.groups == "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"


def test_cookies_come_along_from_elsewhere_only_where_there_is_saml(folder: Path) -> None:
    assert [read(folder, text).has_saml for text in (WHOLE, SAML, OIDC, "roles: {}\n")] == [True, True, False, False]


def test_a_provider_is_found_by_its_name(folder: Path) -> None:
    found = read(folder, WHOLE)
    assert found.provider("entra") is found.providers[1]
    assert found.provider("ping") is None


def test_without_the_setting_there_is_no_provider(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.delenv("CALLBOARD_SIGN_IN", raising=False)
    assert sign_in_file() is None
    monkeypatch.setenv("CALLBOARD_SIGN_IN", "")
    assert sign_in_file() is None
    assert load_sign_in(None) == SignIn()
    monkeypatch.setenv("CALLBOARD_SIGN_IN", str(folder / "sign_in.yaml"))
    assert sign_in_file() == folder / "sign_in.yaml"


def test_a_file_that_is_not_there_is_no_permission_to_go_on_without(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"other\.yaml, which CALLBOARD_SIGN_IN names, cannot be read"):
        load_sign_in(folder / "other.yaml")


@pytest.mark.parametrize(
    ("slash", "address"),
    [("", "https://a.example.org/t"), ("/", "https://a.example.org/t/")],
)
def test_a_provider_is_discovered_below_its_issuer(slash: str, address: str) -> None:
    provider = OidcProvider(protocol="oidc", name="a", title="A", issuer=address, client_id="c", client_secret_env="S")
    assert provider.issuer == f"https://a.example.org/t{slash}", "it is compared letter by letter"
    assert provider.discovery_url == "https://a.example.org/t/.well-known/openid-configuration"


class TestSecrets:
    def test_it_is_read_when_it_is_needed(self, folder: Path) -> None:
        provider = read(folder, WHOLE).providers[0]
        assert isinstance(provider, OidcProvider)
        assert provider.client_secret() == "very secret"
        (folder / "okta.secret").write_text("rotated")
        assert provider.client_secret() == "rotated"

    def test_it_may_stand_in_the_environment(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        provider = read(folder, OIDC).providers[0]
        assert isinstance(provider, OidcProvider)
        monkeypatch.setenv("OKTA_SECRET", "from outside")
        assert provider.client_secret() == "from outside"

    def test_one_that_is_missing_is_told_without_a_value(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OKTA_SECRET", raising=False)
        in_environment, in_file = read(folder, OIDC).providers[0], read(folder, WHOLE).providers[0]
        assert isinstance(in_environment, OidcProvider)
        assert isinstance(in_file, OidcProvider)
        with pytest.raises(ConfigurationError, match="secret of okta is missing: OKTA_SECRET is empty"):
            in_environment.client_secret()
        for content in (b"", b" \n", b"\xff\xfe", b"x" * 10_000):
            (folder / "okta.secret").write_bytes(content)
            with pytest.raises(ConfigurationError, match=r"secret of okta is missing: okta\.secret is empty"):
                in_file.client_secret()


def test_the_lists_beside_the_file_are_read(folder: Path) -> None:
    lists = load_lists(read(folder, WHOLE))
    assert lists.staff == {"anna@example.org", "Ben"}
    assert lists.groups == {"admins", "nurses"}
    assert load_lists(SignIn()).groups is None


def said(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


FAULTS: dict[str, tuple[str, str]] = {
    "no YAML": ("providers: [", "sign_in.yaml:2: is not YAML"),
    "nothing": ("", "sign_in.yaml: is empty"),
    "an unknown key": (f"{OIDC}role: {{}}\n", "sign_in.yaml:8: unknown key 'role': did you mean 'roles'?"),
    "providers that are no list": ("providers: okta\n", "sign_in.yaml:1: 'providers' must be a list"),
    "a provider that is a word": ("providers:\n  - okta\n", "sign_in.yaml:2: 'providers' must list groups of keys"),
    "no protocol": (
        said(OIDC, "  - protocol: oidc\n    name", "  - name"),
        "sign_in.yaml:2: required key 'providers.protocol' is missing: oidc or saml",
    ),
    "another protocol": (
        said(OIDC, "protocol: oidc", "protocol: oauth"),
        "sign_in.yaml:2: 'providers.protocol' is not known: known are: oidc, saml",
    ),
    "an unknown key of a provider": (
        f"{OIDC}    group_claim: x\n",
        "sign_in.yaml:8: unknown key 'providers.group_claim': did you mean 'groups_claim'?",
    ),
    "a key of the other protocol": (f"{SAML}    issuer: https://x\n", "sign_in.yaml:6: unknown key 'providers.issuer'"),
    "no client": (
        said(OIDC, "    client_id: callboard\n", ""),
        "sign_in.yaml:2: required key 'providers.client_id' is missing",
    ),
    "the emergency account's name": (
        said(OIDC, "name: okta", "name: local"),
        "sign_in.yaml:3: 'providers.name' must not be local",
    ),
    "a name in capitals": (said(OIDC, "name: okta", "name: Okta"), "sign_in.yaml:3: 'providers.name' must be a short"),
    "a name twice": (
        OIDC + SAML.removeprefix("providers:\n").replace("ping\n", "okta\n"),
        "sign_in.yaml:9: 'providers.name' is 'okta' a second time",
    ),
    "an issuer by http": (
        said(OIDC, "https://example", "http://example"),
        "sign_in.yaml:5: 'providers.issuer' must begin with https://; http:// is for this machine alone",
    ),
    "an issuer that is no address": (
        said(OIDC, "https://example.okta.com", "example.okta.com"),
        "sign_in.yaml:5: 'providers.issuer' must be an address that begins with https://",
    ),
    "an issuer with a password": (
        said(OIDC, "https://", "https://a:b@"),
        "sign_in.yaml:5: 'providers.issuer' must be an address without a user",
    ),
    "an issuer with a question": (
        said(OIDC, "okta.com", "okta.com/?a=b"),
        "sign_in.yaml:5: 'providers.issuer' must be an address without a '?'",
    ),
    "scopes without openid": (
        f"{OIDC}    scopes: [profile]\n",
        "sign_in.yaml:8: 'providers.scopes' must contain openid",
    ),
    **{
        f"the claim {claim} for an ID": (
            f"{OIDC}    id_claim: {claim}\n",
            "sign_in.yaml:8: 'providers.id_claim' must be a claim that stays a person's for ever, like sub or oid",
        )
        for claim in ("email", "preferred_username", "upn", "name", "unique_name")
    },
    "no secret": (
        said(OIDC, "    client_secret_env: OKTA_SECRET\n", ""),
        "sign_in.yaml:2: 'providers' needs one of client_secret_file and client_secret_env, and not both",
    ),
    "two secrets": (
        f"{OIDC}    client_secret_file: x\n",
        "sign_in.yaml:2: 'providers' needs one of client_secret_file and client_secret_env, and not both",
    ),
    "a secret itself": (
        said(OIDC, "OKTA_SECRET", "s3cr3t"),
        "sign_in.yaml:7: 'providers.client_secret_env' must be the name of an environment variable",
    ),
    "a field that people do not have": (
        f"{OIDC}    match: {{field: phone}}\n",
        "sign_in.yaml:8: 'providers.match.field' must be 'email', 'unique_id'",
    ),
    "no metadata": (
        said(SAML, "    metadata_file: ping.xml\n", ""),
        "sign_in.yaml:2: 'providers' needs one of metadata_url and metadata_file, and not both",
    ),
    "two metadata": (
        f"{SAML}    metadata_url: https://x.example.org\n",
        "sign_in.yaml:2: 'providers' needs one of metadata_url and metadata_file, and not both",
    ),
    "metadata by http": (
        said(SAML, "metadata_file: ping.xml", "metadata_url: http://x.example.org"),
        "sign_in.yaml:5: 'providers.metadata_url' must begin with https://",
    ),
    "metadata above the folder": (
        said(SAML, "ping.xml", "../ping.xml"),
        "sign_in.yaml:5: 'providers.metadata_file' must be the name of a file beside this one",
    ),
    "an entity ID with a quote": (
        f"{SAML}    entity_id: \"x'] | //*['\"\n",
        "sign_in.yaml:6: 'providers.entity_id' must be an entity ID",
    ),
    "a certificate that is not there": (
        f"{SAML}    metadata_certificate_file: none.pem\n",
        "sign_in.yaml:6: 'providers.metadata_certificate_file' names none.pem, which is not there",
    ),
    "an unknown attribute": (
        f"{SAML}    attributes: {{mail: x}}\n",
        "sign_in.yaml:6: unknown key 'providers.attributes.mail': did you mean 'email'?",
    ),
    "a role that is a word": (f"{OIDC}roles:\n  admins: Admin\n", "sign_in.yaml:9: 'roles.admins' must be a list"),
    "a staff list that is not there": (
        f"{OIDC}staff: nobody.csv\n",
        "sign_in.yaml:8: 'staff' names nobody.csv, which is not there",
    ),
    "a staff list that is no table": (f"{OIDC}staff: staff.xlsx\n", "sign_in.yaml:8: 'staff' must name a .csv file"),
    "a staff list without its column": (f"{OIDC}staff: bad.csv\n", "bad.csv:1 [mail]: unknown column 'mail'"),
    "a list of groups without its column": (f"{OIDC}groups: bad.csv\n", "bad.csv:1 [group]: this column is missing"),
    "a session of no time": (f"{OIDC}session_minutes: 0\n", "sign_in.yaml:8: 'session_minutes' must be at least 5"),
    "a session without an end": (
        f"{OIDC}session_minutes: 100000\n",
        "sign_in.yaml:8: 'session_minutes' must be at most 10080",
    ),
    "a key without a certificate": (
        f"{SAML}saml_key_file: callboard.key\n",
        "sign_in.yaml:6: 'saml_key_file' stands alone",
    ),
    "a certificate without a key": (
        f"{SAML}saml_certificate_file: callboard.crt\n",
        "sign_in.yaml:6: 'saml_certificate_file' stands alone",
    ),
    "a key that is not there": (
        f"{SAML}saml_key_file: no.key\nsaml_certificate_file: callboard.crt\n",
        "sign_in.yaml:6: 'saml_key_file' names no.key, which is not there",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_told_with_its_file_and_line(folder: Path, what: str) -> None:
    text, told = FAULTS[what]
    (folder / "bad.csv").write_text("mail\nx\n")
    with pytest.raises(ConfigurationError) as wrong:
        read(folder, text)
    assert told in wrong.value.message
    assert "s3cr3t" not in str(wrong.value)
    assert wrong.value.next_step


def test_all_faults_are_told_at_once(folder: Path) -> None:
    text = said(WHOLE, "https://example.okta.com", "http://example.okta.com").replace("name: entra", "name: ENTRA")
    with pytest.raises(ConfigurationError, match="2 fault"):
        read(folder, text)


@pytest.mark.parametrize(
    ("address", "is_safe"),
    [
        ("http://localhost:4000", True),
        ("http://127.0.0.1:4000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:4000", True),
        ("https://10.0.0.1", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://0.0.0.0", False),
        ("https://", False),
        ("javascript:alert(1)", False),
        ("https://a b", False),
    ],
)
def test_http_is_for_this_machine_alone(folder: Path, address: str, is_safe: bool) -> None:
    text = said(OIDC, "https://example.okta.com", f"'{address}'")
    if is_safe:
        assert read(folder, text).providers[0].issuer == address
    else:
        with pytest.raises(ConfigurationError, match=r"providers\.issuer"):
            read(folder, text)


def test_a_contradiction_is_refused_however_the_settings_are_made() -> None:
    okta: dict[str, Any] = {"protocol": "oidc", "name": "okta", "title": "O", "issuer": "https://o", "client_id": "c"}
    provider = OidcProvider(**okta, client_secret_env="S")
    for wrong in (lambda: SignIn(providers=(provider, provider)), lambda: OidcProvider(**okta)):
        with pytest.raises(ValueError, match=r"twice|needs one of"):
            wrong()


def test_every_key_is_explained() -> None:
    """Also one that comes later."""
    page = (PROJECT_ROOT / "docs" / "runbooks" / "user-authentication.md").read_text("utf-8")
    keys = {
        name for model in (SignIn, OidcProvider, SamlProvider, SamlAttributes, Match) for name in model.model_fields
    }
    assert sorted(key for key in keys if f"`{key}`" not in page) == []


def test_the_example_of_the_runbook_can_be_used(folder: Path) -> None:
    page = (PROJECT_ROOT / "docs" / "runbooks" / "user-authentication.md").read_text("utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    found = read(folder, example)
    assert [provider.protocol for provider in found.providers] == ["oidc", "oidc", "saml"]
