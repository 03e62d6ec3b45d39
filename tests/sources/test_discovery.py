"""Reading what identity providers publish, from real servers on loopback: slow, huge, redirecting, hostile ones too."""

from __future__ import annotations

import gzip
import json
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from include.mappings.sign_in import OidcProvider, SamlProvider
from include.sources import discovery
from include.sources.discovery import Published, read_published
from tests.conftest import free_port
from tests.sign_in.assertions import D
from tests.sign_in.unsafe import SIGNATURES, watched
from tests.support.published import (
    DISCOVERY,
    POST,
    Site,
    certificate,
    der,
    elliptic_jwk,
    jwk,
    metadata,
    signed,
    signed_in_part,
    site,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with site() as served:
        yield served


@pytest.fixture(autouse=True)
def _empty(server: Site) -> None:
    server.pages.clear()
    server.asked.clear()


def oidc(issuer: str, **more: Any) -> Published:
    provider = {"protocol": "oidc", "name": "okta", "title": "Okta", "issuer": issuer, "client_id": "callboard"}
    return read_published(OidcProvider(**provider, client_secret_env="SECRET"), **more)


def saml(address: str, **more: Any) -> Published:
    return read_published(SamlProvider(protocol="saml", name="ping", title="Ping", metadata_url=address, **more))


def test_a_discovery_document_is_read_with_its_keys(server):
    issuer = server.oidc([jwk("one"), elliptic_jwk()], at="/tenant")
    found = oidc(issuer)
    assert (found.provider, found.protocol, found.unanswered, found.fault) == ("okta", "oidc", "", "")
    assert found.document is not None
    assert found.document["metadata"]["issuer"] == issuer
    assert [key["kid"] for key in found.document["jwks"]["keys"]] == ["one", "ec"]
    assert server.asked == [f"/tenant{DISCOVERY}", "/tenant/jwks"]


def test_a_slash_at_the_end_of_an_issuer_is_not_doubled(server):
    assert oidc(f"{server.oidc()}/").fault == ""
    assert server.asked[0] == DISCOVERY


def test_a_redirect_on_the_same_server_is_followed(server):
    server.oidc()
    server.pages["/moved" + DISCOVERY] = (302, {"Location": DISCOVERY}, b"")
    assert oidc(f"{server.url}/moved").document is not None


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_not_followed(server, code):
    with site() as other:
        other.oidc()
        server.pages[DISCOVERY] = (code, {"Location": f"{other.url}{DISCOVERY}"}, b"")
        assert oidc(server.url).fault == "the discovery document is redirected to another server"
        assert other.asked == []


def test_redirects_have_an_end(server):
    server.pages[DISCOVERY] = (302, {"Location": DISCOVERY}, b"")
    assert oidc(server.url).fault == "the discovery document is redirected more than 3 times"
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "location", ["http://example.org/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "https://u:p@x/"]
)
def test_a_redirect_to_an_address_that_is_not_safe_is_not_followed(server, location):
    server.pages[DISCOVERY] = (302, {"Location": location}, b"")
    assert oidc(server.url).fault == "the discovery document is redirected to an address that is not safe"


def test_nobody_there_is_no_answer():
    found = oidc(f"http://127.0.0.1:{free_port()}")
    assert (found.unanswered, found.fault) == ("nobody takes the connection", "")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_no_answer(server, status):
    server.pages[DISCOVERY] = (status, {"Content-Type": "application/json"}, b"{}")
    assert oidc(server.url).unanswered == f"HTTP status {status}"


@pytest.mark.parametrize("status", [201, 204, 400, 401, 403, 404, 410])
def test_any_other_status_is_no_document(server, status):
    server.pages[DISCOVERY] = (status, {"Content-Type": "application/json"}, b"{}" if status != 204 else b"")
    assert oidc(server.url).fault == f"the discovery document is answered with HTTP status {status}"


def test_one_that_drips_is_cut_off(server):
    """Each byte comes in time, so that only the time for the whole document ends it."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        with suppress(OSError):
            for _ in range(2000):
                handler.wfile.write(b" ")
                time.sleep(0.02)
            dripped_all.set()
        handler.close_connection = True

    dripped_all = threading.Event()
    server.pages[DISCOVERY] = drip
    assert oidc(server.url, seconds=0.4).unanswered == "it takes too long"
    assert not dripped_all.is_set()


@pytest.mark.parametrize("what", ["status", "headers", "a body without a length", "redirects"])
def test_one_that_drips_anything_else_is_cut_off_too(server, what):
    """A line that grows by one byte at a time is no part of a body yet."""
    begins = {
        "status": b"HTTP/1.1 ",
        "headers": b"HTTP/1.1 200 OK\r\nX-Drip: ",
        "a body without a length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
        "redirects": b"HTTP/1.1 302 Found\r\nLocation: " + DISCOVERY.encode() + b"\r\nX-Drip: ",
    }

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(begins[what])
            for _ in range(2000):
                handler.wfile.write(b" ")
                time.sleep(0.02)
            dripped_all.set()

    dripped_all = threading.Event()
    server.pages[DISCOVERY] = drip
    assert oidc(server.url, seconds=0.4).unanswered == "it takes too long"
    assert not dripped_all.is_set()


def test_one_that_says_nothing_is_cut_off(server, monkeypatch):
    monkeypatch.setattr("include.sources.bounded_http.PART_SECONDS", 0.2)

    def silence(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.rfile.read(1)  # until the client hangs up

    server.pages[DISCOVERY] = silence
    assert oidc(server.url).unanswered == "it takes too long"


def test_half_a_document_is_no_answer(server):
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"issuer"')
        handler.close_connection = True

    server.pages[DISCOVERY] = half
    assert oidc(server.url).unanswered == "the connection broke off"


def test_what_is_too_large_is_not_read_to_its_end(server):
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        with suppress(OSError):
            for _ in range(2000):
                handler.wfile.write(b" " * 65536)
                sent.append(65536)
        handler.close_connection = True

    server.pages[DISCOVERY] = endless
    assert oidc(server.url).fault == "the discovery document is larger than 512 KiB"
    assert sum(sent) < 64 * 1024**2


def test_what_is_compressed_is_not_unpacked(server):
    body = gzip.compress(json.dumps({"issuer": server.url}).encode())
    server.pages[DISCOVERY] = (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, body)
    assert oidc(server.url).fault == "the discovery document is sent compressed, although that was not asked for"


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/xml", ""])
def test_another_kind_of_content_is_no_discovery_document(server, kind):
    server.pages[DISCOVERY] = (200, {"Content-Type": kind} if kind else {}, b"{}")
    wrong = "as another kind of content" if kind else "without a kind of content"
    assert oidc(server.url).fault == f"the discovery document is sent {wrong}"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"\xff\xfe{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a": NaN}', "is not JSON"),
        (b'{"a": 1e999}', "is not JSON"),
        (b'{"a": "\\ud800"}', "is not JSON"),
        (b'{"a": "\\u0000"}', "holds a NUL character"),
        (b"[]", "is not a JSON object"),
    ],
)
def test_what_is_no_json_that_a_database_could_hold_is_no_document(server, body, wrong):
    server.pages[DISCOVERY] = (200, {"Content-Type": "application/json; charset=utf-8"}, body)
    assert oidc(server.url).fault == f"the discovery document {wrong}"


def test_a_key_set_that_is_none_is_told_by_its_name(server):
    server.oidc()
    server.json("/jwks", {"keys": {}})
    assert oidc(server.url).fault == "the key set has no list of keys"
    server.pages["/jwks"] = (404, {}, b"")
    assert oidc(server.url).fault == "the key set is answered with HTTP status 404"
    server.pages["/jwks"] = (503, {}, b"")
    assert oidc(server.url).unanswered == "HTTP status 503"


def test_a_key_set_is_asked_for_at_a_safe_address_alone(server):
    server.oidc(jwks_uri="http://keys.example.org/jwks")
    assert oidc(server.url).fault == "jwks_uri must begin with https://; http:// is for this machine alone"


def test_a_provider_elsewhere_cannot_have_this_machine_asked(server, monkeypatch):
    """What it says of its keys would be fetched from inside the house."""
    document = {"issuer": "https://idp.example.org", "jwks_uri": f"{server.url}/jwks"}
    monkeypatch.setattr(discovery, "fetch", lambda *_, **__: json.dumps(document).encode())
    assert oidc("https://idp.example.org").fault == "jwks_uri leads to this machine"
    assert server.asked == []


def test_metadata_are_read_as_python3_saml_wants_them(server):
    new, old = certificate("new"), certificate("old")
    server.xml("/metadata", metadata(old, new, encryption=old))
    found = saml(f"{server.url}/metadata")
    assert found.document == {
        "idp": {
            "entityId": "https://idp.example.org/saml",
            "singleSignOnService": {
                "url": "https://idp.example.org/sso",
                "binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
            },
            "x509certMulti": {"signing": [der(old), der(new)], "encryption": [der(old)]},
        }
    }
    assert found.signed is None


def test_metadata_come_from_a_file_as_well(tmp_path: Path):
    file = tmp_path / "entra.xml"
    provider = SamlProvider(protocol="saml", name="entra", title="Entra", metadata_file=file)
    assert read_published(provider).fault == "entra.xml cannot be read: it is not there, or not ours to read"
    file.write_text(metadata(certificate()), "utf-8")
    document = read_published(provider).document
    assert document is not None
    assert len(document["idp"]["x509cert"]) > 900
    with file.open("ab") as opened:
        opened.write(b" " * discovery.MOST_XML_BYTES)
    assert read_published(provider).fault == "entra.xml is larger than 8,192 KiB"


HOSTILE = {
    "an entity": '<!DOCTYPE md [<!ENTITY x "y">]>',
    "an outer entity": '<!DOCTYPE md [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "an outer document type": '<!DOCTYPE md SYSTEM "http://127.0.0.1:1/x.dtd">',
    "a document type alone": "<!DOCTYPE md>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("what", HOSTILE)
def test_metadata_with_a_document_type_are_refused_in_any_encoding(server, what, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>{HOSTILE[what]}{metadata(certificate())}'
    server.xml("/metadata", text.encode(encoding))
    found = saml(f"{server.url}/metadata")
    assert found.document is None
    assert found.fault in {
        "the metadata hold a document type or entities, which metadata never need",
        "the metadata are not XML",
    }
    assert found.fault.endswith("need") or encoding == "utf-32"


def test_metadata_in_utf_16_are_read(server):
    server.xml("/metadata", f'<?xml version="1.0" encoding="utf-16"?>{metadata(certificate())}'.encode("utf-16"))
    assert saml(f"{server.url}/metadata").document is not None


def test_a_bomb_of_entities_is_refused(server):
    """Whoever unpacked it would hold ten thousand million characters."""
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 10}">' for n in range(10))
    server.xml("/metadata", f"<!DOCTYPE md [{bomb}]><md>&e9;</md>")
    assert saml(f"{server.url}/metadata").fault.startswith("the metadata ")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"", "the metadata are not XML"),
        (b"{}", "the metadata are not XML"),
        (b"<md", "the metadata are not XML"),
        (b"<md/>", "the metadata describe no identity provider"),
        (metadata().replace("IDPSSO", "SPSSO").encode(), "the metadata describe no identity provider"),
    ],
)
def test_what_is_no_metadata_is_told_so(server, body, wrong):
    server.xml("/metadata", body)
    assert saml(f"{server.url}/metadata").fault == wrong


def test_the_entity_is_chosen_by_its_id(server):
    two = [metadata(certificate(name), entity_id=f"https://{name}.example.org") for name in ("one", "two")]
    listed = "".join(two).replace('ID="_m1"', "")
    server.xml(
        "/metadata",
        f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{listed}</md:EntitiesDescriptor>',
    )
    found = saml(f"{server.url}/metadata", entity_id="https://two.example.org")
    assert found.document is not None
    assert found.document["idp"]["entityId"] == "https://two.example.org"
    several = "the metadata describe several identity providers: the settings must say which, by entity_id"
    assert saml(f"{server.url}/metadata").fault == several
    wrong = "the metadata describe no identity provider with the entity_id of the settings"
    assert saml(f"{server.url}/metadata", entity_id="https://three.example.org").fault == wrong


def test_an_identity_provider_is_found_behind_another_kind_of_entity(server):
    other = metadata(entity_id="https://app.example.org").replace("IDPSSO", "SPSSO").replace('ID="_m1"', "")
    both = f"{other}{metadata(certificate())}"
    server.xml(
        "/metadata",
        f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">{both}</md:EntitiesDescriptor>',
    )
    found = saml(f"{server.url}/metadata").document
    assert found is not None
    assert found["idp"]["entityId"] == "https://idp.example.org/saml"


def test_a_certificate_for_encryption_alone_verifies_nothing(server):
    """The parser answers it as if it were one for signatures, where there is no other."""
    server.xml("/metadata", metadata(encryption=certificate()))
    found = saml(f"{server.url}/metadata").document
    assert found is not None
    assert "x509cert" not in found["idp"]


def test_requests_are_sent_by_redirect_so_that_a_post_address_is_none(server):
    server.xml("/metadata", metadata(certificate(), binding=POST))
    document = saml(f"{server.url}/metadata").document
    assert document is not None
    assert "singleSignOnService" not in document["idp"]


class TestSignedMetadata:
    @pytest.fixture
    def trusted(self, tmp_path: Path) -> Path:
        file = tmp_path / "federation.pem"
        file.write_text(certificate("federation"))
        return file

    def is_signed(self, server: Site, trusted: Path, xml: str) -> bool | None:
        server.xml("/metadata", xml)
        wanted = {"entity_id": "https://idp.example.org/saml", "metadata_certificate_file": trusted}
        return saml(f"{server.url}/metadata", **wanted).signed

    def test_a_signature_of_the_whole_document_counts(self, server, trusted):
        assert self.is_signed(server, trusted, signed(metadata(certificate()))) is True

    def test_none_and_another_key_do_not(self, server, trusted):
        assert self.is_signed(server, trusted, metadata(certificate())) is False
        assert self.is_signed(server, trusted, signed(metadata(certificate()), "somebody")) is False

    def test_a_changed_document_does_not(self, server, trusted):
        xml = signed(metadata(certificate()))
        assert self.is_signed(server, trusted, xml.replace("idp.example.org/sso", "evil.example.org/sso")) is False

    def test_a_signed_document_inside_another_does_not(self, server, trusted):
        """The signature is sound, but of a part; what would be read is what stands around it."""
        inner, outer = metadata(certificate()), metadata(certificate("evil")).replace('ID="_m1"', 'ID="_m2"')
        begins = outer.index(">") + 1
        both = f"{outer[:begins]}<md:Extensions>{inner}</md:Extensions>{outer[begins:]}"
        assert self.is_signed(server, trusted, signed_in_part(both, "_m1")) is False
        assert self.is_signed(server, trusted, signed_in_part(outer, "_m2")) is True, "only the place is wrong"

    @pytest.mark.parametrize("what", SIGNATURES)
    def test_what_nobody_signed_runs_nothing_and_opens_nothing(self, server, trusted, tmp_path, monkeypatch, what):
        from onelogin.saml2.utils import OneLogin_Saml2_Utils as Utils

        seen = []
        monkeypatch.setattr(Utils, "validate_metadata_sign", lambda *_, **__: seen.append(what))
        tree = etree.fromstring(signed(metadata(certificate())))
        with watched(tmp_path) as (trap, opened):
            SIGNATURES[what](tree.find(f"{D}Signature"), trap)
            assert self.is_signed(server, trusted, etree.tostring(tree).decode()) is False
            assert not opened.is_set()
        assert seen == [], "xmlsec got to see it"
