"""What identity providers say of themselves: discovery documents with their keys, and SAML metadata.

Read from their addresses, or from a file that somebody exported. Nothing is judged here: a document either can be read,
or is not one. One provider's trouble is written down and keeps no other from being read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from include.mappings.sign_in import OidcProvider, SamlProvider, is_loopback, safe_address
from include.sources.bounded_http import WHOLE_SECONDS, Unanswered, Unusable, fetch
from include.sources.xml_signatures import UnsafeXml, check_signature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: A discovery document has about 5 KB, a key set up to 20; metadata of one provider up to 100, of a federation more.
MOST_JSON_BYTES, MOST_XML_BYTES = 512 * 1024, 8 * 1024**2
_JSON, _XML = ("json",), ("xml",)
_NAMES = {"md": "urn:oasis:names:tc:SAML:2.0:metadata", "ds": "http://www.w3.org/2000/09/xmldsig#"}


@dataclass(frozen=True, slots=True)
class Published:
    """What one provider said. ``document``: see :class:`include.ledger.trust_store.Trusted`, all keys as they came.

    ``signed``: whether SAML metadata carry the signature that the settings ask for; None where they ask for none.
    ``unanswered``: why nobody answered; ``fault``: why what was answered is no document. One of the three is there.
    """

    provider: str
    protocol: str
    document: Mapping[str, Any] | None = None
    signed: bool | None = None
    unanswered: str = ""
    fault: str = ""


def read_published(provider: OidcProvider | SamlProvider, *, seconds: float = WHOLE_SECONDS) -> Published:
    """Ask a provider, or read its file. ``seconds``: the longest time for each document."""
    try:
        if isinstance(provider, OidcProvider):
            return Published(provider.name, "oidc", _discovered(provider, seconds))
        return _metadata(provider, seconds)
    except Unanswered as error:
        return Published(provider.name, provider.protocol, unanswered=str(error))
    except Unusable as error:
        return Published(provider.name, provider.protocol, fault=str(error))


def _discovered(provider: OidcProvider, seconds: float) -> dict[str, Any]:
    metadata = _json(
        "the discovery document",
        fetch_named(
            "the discovery document", provider.discovery_url, most_bytes=MOST_JSON_BYTES, media=_JSON, seconds=seconds
        ),
    )
    place = metadata.get("jwks_uri")
    if not isinstance(place, str):
        return {"metadata": metadata, "jwks": {"keys": []}}
    try:
        safe_address(place)
    except ValueError as error:
        raise Unusable(f"jwks_uri {error}") from None
    if is_loopback(urlsplit(place).hostname or "") and not is_loopback(urlsplit(provider.issuer).hostname or ""):
        raise Unusable("jwks_uri leads to this machine")
    keys = _json(
        "the key set", fetch_named("the key set", place, most_bytes=MOST_JSON_BYTES, media=_JSON, seconds=seconds)
    )
    if not isinstance(keys.get("keys"), list):
        raise Unusable("the key set has no list of keys")
    return {"metadata": metadata, "jwks": keys}


def fetch_named(what: str, address: str, *, most_bytes: int, media: tuple[str, ...], seconds: float) -> bytes:
    """As :func:`include.sources.bounded_http.fetch`; what is unusable is told by its name."""
    try:
        return fetch(address, most_bytes=most_bytes, media=media, seconds=seconds)
    except Unusable as error:
        raise Unusable(f"{what} {error}") from None


def _json(what: str, data: bytes) -> dict[str, Any]:
    """A JSON object that our database can hold: finite numbers, and text without NUL or half of a character."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Unusable(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise Unusable(f"{what} is not a JSON object")
    if b"\\u0000" in json.dumps(value).encode():
        raise Unusable(f"{what} holds a NUL character")
    return value


def _metadata(provider: SamlProvider, seconds: float) -> Published:
    from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser as Parser

    data = _metadata_bytes(provider, seconds)
    root = _parsed(data)
    signed = None
    if provider.metadata_certificate_file is not None:
        signed = _is_signed(data, root, _file(provider.metadata_certificate_file, 64 * 1024))
    found = Parser.parse(root, entity_id=_chosen(root, provider.entity_id))
    if "idp" not in found:
        raise Unusable("the metadata describe no identity provider")
    return Published(provider.name, "saml", {"idp": _without_foreign(found["idp"], root)}, signed)


def _chosen(root: Any, entity_id: str | None) -> str | None:
    """The entity ID of the identity provider that is meant: the parser would take the first entity, whatever it is."""
    entities = [entity for entity in _entities(root) if entity.find("md:IDPSSODescriptor", _NAMES) is not None]
    if entity_id is not None:
        if entity_id not in [entity.get("entityID") for entity in entities]:
            raise Unusable("the metadata describe no identity provider with the entity_id of the settings")
        return entity_id
    if len(entities) > 1:
        raise Unusable("the metadata describe several identity providers: the settings must say which, by entity_id")
    named: str | None = entities[0].get("entityID") if entities else None
    return named if named and "'" not in named else None  # it becomes part of a path


def _without_foreign(idp: dict[str, Any], root: Any) -> dict[str, Any]:
    """``idp`` without a certificate that is for encryption alone: the parser takes one where there is no other."""
    signing = {
        "".join((node.text or "").split())
        for entity in _entities(root)
        if entity.get("entityID") == idp.get("entityId")
        for key in entity.findall("md:IDPSSODescriptor/md:KeyDescriptor", _NAMES)
        if key.get("use") != "encryption"
        for node in key.findall("ds:KeyInfo/ds:X509Data/ds:X509Certificate", _NAMES)
    }
    return {name: value for name, value in idp.items() if name != "x509cert" or value in signing}


def _entities(root: Any) -> list[Any]:
    return list(root.iter(f"{{{_NAMES['md']}}}EntityDescriptor"))


def _metadata_bytes(provider: SamlProvider, seconds: float) -> bytes:
    if provider.metadata_url is not None:
        return fetch_named(
            "the metadata", provider.metadata_url, most_bytes=MOST_XML_BYTES, media=_XML, seconds=seconds
        )
    if provider.metadata_file is None:
        raise Unusable("the settings name no metadata")
    return _file(provider.metadata_file, MOST_XML_BYTES)


def _file(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(most + 1)
    except OSError:
        raise Unusable(f"{file.name} cannot be read: it is not there, or not ours to read") from None
    if len(data) > most:
        raise Unusable(f"{file.name} is larger than {most // 1024:,} KiB")
    return data


def _parsed(data: bytes) -> Any:
    """The root of the metadata: python3-saml's parser, which knows no network, no entity and no document type."""
    from lxml.etree import LxmlError
    from onelogin.saml2.xml_utils import OneLogin_Saml2_XML as Xml
    from onelogin.saml2.xmlparser import DTDForbidden, EntitiesForbidden

    try:
        return Xml.to_etree(data)
    except (DTDForbidden, EntitiesForbidden):
        raise Unusable("the metadata hold a document type or entities, which metadata never need") from None
    except (LxmlError, ValueError):
        raise Unusable("the metadata are not XML") from None


def _is_signed(data: bytes, root: Any, certificate: bytes) -> bool:
    """Whether the whole document carries a sound signature by the key of ``certificate`` (PEM)."""
    from onelogin.saml2.utils import OneLogin_Saml2_Utils as Utils

    signatures = root.findall("ds:Signature", _NAMES)
    if len(signatures) != 1:
        return False
    try:
        check_signature(signatures[0])
    except UnsafeXml:
        return False  # it is about something else in the document, or would have us do something else
    methods = signatures[0].xpath(".//@Algorithm")
    if any("sha1" in method or "md5" in method or "hmac" in method for method in methods):
        return False
    try:
        return bool(Utils.validate_metadata_sign(data, cert=certificate.decode(), validatecert=False))
    except Exception:  # noqa: BLE001 - whatever xmlsec finds wrong: there is no sound signature
        return False
