"""Keeping the trust in identity providers fresh, all four steps: real servers, a real ledger, real incidents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml

from include.database import transaction
from include.errors import CallboardError, ConfigurationError, DestinationUnavailable
from include.ledger import incidents, runs
from include.ledger.trust_store import in_force, signed_in
from include.run.deliver import deliver
from include.run.failure import failed
from include.run.services import Services, no_connections
from include.settings import Settings
from tests.support.published import DISCOVERY, SHA1_CERTIFICATE, Site, certificate, jwk, metadata, signed, site
from tests.support.world import decide, integration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.ledger.records import Incident, Run
    from include.ledger.trust_store import Trusted
    from include.reasons import IncidentClass

FEED = "user_authentication"
MONTH = timedelta(days=30)


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with site() as served:
        yield served


@dataclass
class House:
    """One installation with its sign-in settings, and the server that its providers are on."""

    services: Services
    folder: Path
    server: Site
    providers: list[dict[str, Any]] = field(default_factory=list)
    runs: int = 0

    def oidc(self, name: str, keys: list[dict[str, Any]] | None = None, **more: Any) -> None:
        """Configure a provider of OpenID Connect, and have it published."""
        settings = {k: more.pop(k) for k in ("match", "userinfo", "issuer") if k in more}
        issuer = self.server.oidc(keys, at=f"/{name}", **more)
        known = {"protocol": "oidc", "name": name, "title": name, "issuer": issuer, "client_id": "callboard"}
        self.configure({**known, "client_secret_env": "SECRET", **settings})

    def saml(self, name: str, xml: str, **settings: Any) -> None:
        self.server.xml(f"/{name}", xml)
        url = f"{self.server.url}/{name}"
        self.configure({"protocol": "saml", "name": name, "title": name, "metadata_url": url, **settings})

    def configure(self, provider: dict[str, Any]) -> None:
        self.providers = [each for each in self.providers if each["name"] != provider["name"]] + [provider]
        self.settings()

    def settings(self, **more: Any) -> None:
        told = {"providers": self.providers, "roles": {"admins": ["Admin"]}} | more
        (self.folder / "sign_in.yaml").write_text(yaml.safe_dump(told), "utf-8")

    def person(self, emp_id: str, **values: Any) -> None:
        row = {"emp_id": emp_id, "display_name": emp_id, "personnel_type": "Physician", "active": True} | values
        row.setdefault("is_placeholder", False)
        names, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
        with psycopg.connect(self.services.settings.schedule_dsn) as store:
            store.execute(f"INSERT INTO personnel ({names}) VALUES ({places})", row)

    def account(self, username: str, said: str | None, provider: str = "okta", groups: tuple[str, ...] = ()) -> None:
        with transaction(self.services.settings.ledger_dsn) as ledger:
            signed_in(ledger, username=username, provider=provider, matched_by=said, groups=groups, roles=[])

    def run(self) -> Run:
        """All four steps, ended as a task would end them; the run as the ledger has it."""
        self.runs += 1
        run_id, handed = f"run-{self.runs}", None
        try:
            handed = decide(integration(FEED), FEED, run_id, self.services)
            deliver(integration(FEED), handed, self.services)
        except CallboardError as error:
            failed(integration(FEED), FEED, run_id, error, self.services, handed)
        with transaction(self.services.settings.ledger_dsn) as ledger:
            found = runs.find(ledger, FEED, run_id)
        assert found is not None
        counts = found.counts
        assert counts.extracted == counts.delivered + counts.pending + counts.excluded + counts.rejected
        return found

    def trusted(self) -> dict[str, Trusted]:
        with transaction(self.services.settings.ledger_dsn) as ledger:
            return in_force(ledger)

    def incidents(self) -> dict[str, Incident]:
        with transaction(self.services.settings.ledger_dsn) as ledger:
            return {each.kind: each for each in incidents.open_incidents(ledger, FEED)}

    def to_mend(self, kind: IncidentClass) -> set[str]:
        """What the mail of an open incident lists."""
        return set(self.incidents()[kind].facts["faults"])


@pytest.fixture
def house(database: Any, server: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    server.pages.clear()
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    (mappings / f"{FEED}.yaml").write_text(f"integration: {FEED}\n")
    settings = Settings(tmp_path / "var", mappings, database.schedule_dsn, database.ledger_dsn, "UTC")
    settings.var.mkdir()
    monkeypatch.setenv("CALLBOARD_SIGN_IN", str(tmp_path / "sign_in.yaml"))
    made = House(Services(settings, no_connections), tmp_path, server)
    made.settings()
    return made


def test_without_a_provider_every_run_is_unchanged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.account("okta_1", "somebody@example.org")
    for setting in (str(house.folder / "sign_in.yaml"), "", None):
        if setting is None:
            monkeypatch.delenv("CALLBOARD_SIGN_IN")
        else:
            monkeypatch.setenv("CALLBOARD_SIGN_IN", setting)
        run = house.run()
        assert (run.state, run.counts.extracted) == ("unchanged", 0)
    assert house.trusted() == {}
    assert house.incidents() == {}


def test_what_is_right_is_trusted_in_its_first_version(house: House) -> None:
    house.oidc("okta")
    house.saml("ping", metadata(certificate()))
    run = house.run()
    assert (run.state, run.counts.extracted, run.counts.delivered) == ("delivered", 2, 2)
    trusted = house.trusted()
    assert {name: (each.protocol, each.version) for name, each in trusted.items()} == {
        "okta": ("oidc", 1),
        "ping": ("saml", 1),
    }
    assert trusted["okta"].document["metadata"]["issuer"] == f"{house.server.url}/okta"
    assert [key["kid"] for key in trusted["okta"].document["jwks"]["keys"]] == ["one"]
    assert trusted["ping"].document["idp"]["entityId"] == "https://idp.example.org/saml"
    assert len(run.checks) >= 10
    assert house.incidents() == {}


def test_nothing_new_is_unchanged_and_seen_again(house: House) -> None:
    house.oidc("okta")
    house.run()
    before = house.trusted()["okta"]
    assert house.run().state == "unchanged"
    after = house.trusted()["okta"]
    assert (after.version, after.document) == (1, before.document)
    assert after.checked_at > before.checked_at


def test_a_rollover_adds_a_version_that_knows_both_keys(house: House) -> None:
    house.oidc("okta", [jwk("old")])
    house.run()
    house.oidc("okta", [jwk("old"), jwk("new")])
    assert house.run().state == "delivered"
    both = house.trusted()["okta"]
    assert (both.version, {key["kid"] for key in both.document["jwks"]["keys"]}) == (2, {"old", "new"})
    house.oidc("okta", [jwk("new")])
    house.run()
    assert (house.trusted()["okta"].version, versions(house, "okta")) == (3, [1, 2, 3])


def test_another_order_is_no_other_document(house: House) -> None:
    """Some servers shuffle their lists; that is no new version every hour."""
    house.oidc("okta", [jwk("a"), jwk("b")], response_types_supported=["code", "id_token"])
    house.saml("ping", metadata(certificate("a"), old := certificate("b")))
    first = house.run()
    house.oidc("okta", [jwk("b"), jwk("a")], response_types_supported=["id_token", "code"])
    assert (house.run().state, first.state) == ("unchanged", "delivered")
    listed = house.trusted()["ping"].document["idp"]["x509certMulti"]["signing"]
    assert listed == sorted(listed)
    assert old


def test_one_silent_provider_keeps_no_other_from_being_refreshed(house: House) -> None:
    house.oidc("okta", [jwk("old")])
    house.oidc("ping", [jwk("old")])
    house.run()
    house.oidc("ping", [jwk("new")])
    house.server.pages[f"/okta{DISCOVERY}"] = (503, {}, b"")
    run = house.run()
    assert (run.state, run.counts.delivered, run.counts.pending) == ("failed", 1, 1)
    trusted = house.trusted()
    assert (trusted["okta"].version, trusted["ping"].version) == (1, 2), "the old trust stays in force"
    assert set(house.incidents()) == {"connection"}
    told = house.incidents()["connection"].facts["error"]["message"]
    assert told == "Feed user_authentication: no answer of okta (did not answer: HTTP status 503)."
    house.oidc("okta", [jwk("old")])
    assert house.run().state == "delivered"
    assert house.incidents() == {}


def test_when_nobody_answers_the_trust_stays(house: House) -> None:
    house.oidc("okta")
    house.run()
    house.server.pages.clear()
    house.server.pages[f"/okta{DISCOVERY}"] = (500, {}, b"")
    with pytest.raises(DestinationUnavailable, match="no answer of okta"):
        decide(integration(FEED), FEED, "alone", house.services)
    assert house.run().state == "failed"
    assert set(house.incidents()) == {"connection"}
    assert house.trusted()["okta"].version == 1


def test_a_provider_that_is_not_right_is_rejected_and_changes_nothing(house: House) -> None:
    house.oidc("okta")
    house.run()
    house.server.oidc(at="/okta", issuer=f"{house.server.url}/okta/")
    run = house.run()
    assert run.counts.rejected == 1
    wrong = "its issuer is not, letter by letter, the configured one"
    assert house.to_mend("mapping") == {f"provider okta: {wrong}"}
    assert house.trusted()["okta"].version == 1
    house.server.oidc(at="/okta")
    house.run()
    assert house.incidents() == {}


def test_only_asymmetric_algorithms_and_usable_keys_are_trusted(house: House) -> None:
    """Whatever else a provider lists: what is not in the trust store cannot be believed by mistake."""
    keys = [jwk("one"), jwk("weak", bits=1024), jwk("enc", use="enc"), {"kty": "RSA"}]
    house.oidc("okta", keys, id_token_signing_alg_values_supported=["none", "HS256", "RS256"])
    assert house.run().counts.rejected == 0
    document = house.trusted()["okta"].document
    assert document["metadata"]["id_token_signing_alg_values_supported"] == ["RS256"]
    assert [key["kid"] for key in document["jwks"]["keys"]] == ["one"]


def test_the_entity_id_and_the_signature_are_those_of_the_settings(house: House) -> None:
    trust = house.folder / "federation.pem"
    trust.write_text(certificate("federation"))
    xml = metadata(certificate())
    house.saml("ping", xml, entity_id="https://idp.example.org/saml", metadata_certificate_file="federation.pem")
    house.run()
    wrong = "the metadata are not signed as a whole by the configured certificate"
    assert house.to_mend("mapping") == {f"provider ping: {wrong}"}
    house.server.xml("/ping", signed(xml))
    assert house.run().state == "delivered"
    assert house.incidents() == {}


def test_a_certificate_that_ends_soon_is_told_and_trusted_until_a_new_one_comes(house: House) -> None:
    old = certificate("old", ends_in=MONTH - timedelta(hours=1))
    house.saml("ping", metadata(old))
    run = house.run()
    assert (run.state, run.counts.delivered, run.counts.rejected) == ("delivered", 1, 0)
    [told] = house.to_mend("mapping")
    assert told.startswith("provider ping: the last certificate to verify its signatures by ends on 20")
    assert house.incidents()["mapping"].facts["what"] == "trust_reported"
    assert house.run().state == "unchanged", "it is told once a day, not at every run"
    house.saml("ping", metadata(old, certificate("new")))
    assert house.run().state == "delivered"
    assert house.incidents() == {}


def test_a_certificate_that_has_thirty_days_is_not_told(house: House) -> None:
    house.saml("ping", metadata(certificate("fresh", ends_in=MONTH + timedelta(hours=1))))
    house.run()
    assert house.incidents() == {}


def test_what_ended_or_is_weak_is_left_out_beside_a_good_one(house: House) -> None:
    ended = certificate("ended", ends_in=timedelta(days=-1))
    house.saml("ping", metadata(ended, certificate("good"), SHA1_CERTIFICATE, encryption=ended))
    house.run()
    idp = house.trusted()["ping"].document["idp"]
    assert len(idp["x509certMulti"]["signing"]) == 1
    assert len(idp["x509certMulti"]["encryption"]) == 1
    assert house.incidents() == {}


NOBODY = "nobody of the schedule or the staff list has the value of the matched claim"
SEVERAL = "several active people carry the value of the matched claim"
ACCOUNTS: dict[str, tuple[str | None, tuple[str, ...], str | None]] = {
    "one active person": ("Active@example.org", ("active@EXAMPLE.org",), None),
    "nobody": ("nobody@example.org", (), NOBODY),
    "nothing said": (None, (), "the provider says nothing in the matched claim"),
    "an inactive person": (
        "left@example.org",
        ("-left@example.org",),
        "the person who carries the value of the matched claim is inactive",
    ),
    "an active and an inactive one": ("back@example.org", ("back@example.org", "-back@example.org"), None),
    "two active people": ("two@example.org", ("two@example.org", "two@example.org"), SEVERAL),
    "a placeholder": ("pager@example.org", ("*pager@example.org",), NOBODY),
    "the staff": ("Staff@example.org", (), None),
}


def test_each_account_is_one_active_person_or_of_the_staff(house: House) -> None:
    (house.folder / "staff.csv").write_text("value,note\nstaff@example.org,platform\n")
    house.oidc("okta")
    house.settings(staff="staff.csv")
    for who, (said, people, _) in ACCOUNTS.items():
        house.account(f"okta_{who}", said)
        for number, mail in enumerate(people):
            flags = {"active": not mail.startswith("-"), "is_placeholder": mail.startswith("*")}
            house.person(f"{who} {number}", email=mail.lstrip("-*"), **flags)
    run = house.run()
    wrong = {f"account okta_{who}: {detail}" for who, (_, _, detail) in ACCOUNTS.items() if detail}
    assert (run.counts.extracted, run.counts.rejected) == (1 + len(ACCOUNTS), len(wrong))
    assert run.state == "delivered", "an account's finding keeps no provider from being trusted"
    assert house.to_mend("id_matching") == wrong
    assert set(house.incidents()) == {"id_matching"}


def test_accounts_are_matched_by_the_field_of_their_provider(house: House) -> None:
    """IDs, unlike mail addresses, are not the same in capitals."""
    house.oidc("okta", match={"claim": "employee", "field": "custom3"})
    house.oidc("ping", match={"claim": "npi", "field": "npi"})
    house.person("E1", custom3="AB1", npi="7")
    house.account("okta_1", "AB1")
    house.account("okta_2", "ab1")
    house.account("okta_3", "7")
    house.account("ping_1", "7", provider="ping")
    house.run()
    assert house.to_mend("id_matching") == {f"account {name}: {NOBODY}" for name in ("okta_2", "okta_3")}


def test_an_account_of_a_provider_that_is_gone_is_left_out(house: House) -> None:
    house.oidc("okta")
    house.account("old_1", "x@example.org", provider="old")
    run = house.run()
    assert (run.counts.extracted, run.counts.excluded) == (2, 1)
    assert house.incidents() == {}


def test_a_role_map_that_leads_to_nothing_is_told_beside_what_is_trusted(house: House) -> None:
    (house.folder / "groups.csv").write_text("group\nadmins\n")
    house.oidc("okta")
    house.settings(groups="groups.csv", roles={"admins": ["Admin"], "nurses": ["Viewer"]})
    run = house.run()
    assert (run.state, run.counts.delivered) == ("delivered", 1)
    wrong = "the group 'nurses' is not among the listed groups; no group leads to the role 'Viewer'"
    assert house.to_mend("mapping") == {f"role map: {wrong}"}
    house.settings()
    house.run()
    assert house.incidents() == {}


def test_a_group_that_was_never_seen_is_only_a_warning(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.oidc("okta")
    house.settings(roles={"admins": ["Admin"], "nurses": ["Viewer"]})
    house.person("E1", email="a@example.org")
    house.account("okta_1", "a@example.org", groups=("admins",))
    house.run()
    warned = [message for message in caplog.messages if "seen" in message]
    assert warned == [f"Feed {FEED}: the group 'nurses' of the role map was not seen at any sign-in yet."]
    assert house.incidents() == {}


def test_a_certificate_and_the_role_map_are_told_side_by_side(house: House) -> None:
    house.saml("ping", metadata(certificate(ends_in=timedelta(days=3))))
    house.settings(own_roles=["Payroll"])
    house.run()
    assert {told.partition(": ")[0] for told in house.to_mend("mapping")} == {"role map", "provider ping"}
    house.server.xml("/ping", metadata())
    house.run()
    assert house.incidents()["mapping"].facts["what"] == "trust"
    assert house.to_mend("mapping") == {"provider ping: it has no certificate to verify signatures by"}


def test_settings_that_are_wrong_fail_the_run_with_their_line(house: House) -> None:
    house.oidc("okta")
    house.run()
    (house.folder / "sign_in.yaml").write_text("providers: []\nroles: {}\nsession_minuts: 5\n")
    with pytest.raises(ConfigurationError, match=r"sign_in\.yaml:3: unknown key 'session_minuts'"):
        decide(integration(FEED), FEED, "alone", house.services)
    assert house.run().state == "failed"
    assert house.trusted()["okta"].version == 1


def test_a_change_of_the_settings_concerns_the_next_run_only(house: House) -> None:
    house.oidc("okta")
    decided = decide(integration(FEED), FEED, "first", house.services)
    house.providers.clear()
    house.oidc("ping")
    assert deliver(integration(FEED), decided, house.services).state == "delivered"
    assert set(house.trusted()) == {"okta"}


def test_nothing_that_travels_between_the_steps_tells_of_a_person(house: House) -> None:
    from include.run.handed import decided_from_json, to_json

    house.oidc("okta")
    house.account("okta_subject", "secret.person@example.org")
    decided = decide(integration(FEED), FEED, "first", house.services)
    travelling = to_json(decided)
    assert decided_from_json(travelling) == decided
    assert "secret" not in str(travelling)
    assert "subject" not in str(travelling)
    house.run()
    assert "secret" not in str(house.incidents()["id_matching"].facts)


def versions(house: House, provider: str) -> list[int]:
    with psycopg.connect(house.services.settings.ledger_dsn) as ledger:
        found = ledger.execute("SELECT version FROM trust_version WHERE provider = %s ORDER BY 1", [provider])
        return [row[0] for row in found]
