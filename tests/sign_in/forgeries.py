"""SAML responses that the provider did not sign, or not like that: they do their own signing, or none. And junk."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xmlsec
from lxml import etree

from tests.sign_in.assertions import A, D, P, assertion, at, packed, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.identity_providers import KeyPair

    Tree = Any  # lxml's elements have no types


@dataclass(frozen=True, slots=True)
class Keys:
    """What may sign: the provider's own pair, and somebody else's."""

    own: KeyPair
    other: KeyPair


def _evil(response: Tree) -> Tree:
    """A copy of the assertion that says somebody else, with an ID of its own, unsigned."""
    forged = copy.deepcopy(assertion(response))
    forged.set("ID", "_evil")
    forged.remove(forged.find(f"{D}Signature"))
    forged.find(f"{A}Subject/{A}NameID").text = "mallory-id"
    return forged


def _unsigned(response: Tree, keys: Keys) -> None:
    assertion(response).remove(assertion(response).find(f"{D}Signature"))


def _name_changed(response: Tree, keys: Keys) -> None:
    at(response, "Subject", "NameID").text = "mallory-id"


def _group_added(response: Tree, keys: Keys) -> None:
    for each in at(response, "AttributeStatement"):
        if each.get("Name").endswith("groups"):
            added = copy.deepcopy(each[0])
            added.text = "sched-admins"
            each.append(added)


def _by(key: str, *, with_certificate: bool = True, **how: Any) -> Callable[[Tree, Keys], None]:
    def forge(response: Tree, keys: Keys) -> None:
        pair = getattr(keys, key)
        sign(assertion(response), pair.key, pair.certificate if with_certificate else None, **how)

    return forge


def _hmac(response: Tree, keys: Keys) -> None:
    public = keys.own.certificate.read_bytes()
    sign(assertion(response), keys.own.key, None, signature=xmlsec.Transform.HMAC_SHA256, hmac=public)


def _response_alone(response: Tree, keys: Keys) -> None:
    _unsigned(response, keys)
    sign(response, keys.own.key, keys.own.certificate)


def _signature_of_another(response: Tree, keys: Keys) -> None:
    assertion(response).find(f".//{D}SignatureValue").text = base64.b64encode(b"x" * 256).decode()


def _wrap_response(response: Tree, keys: Keys) -> Tree:
    """XSW1: the signed response inside the signature of a forged one."""
    sign(response, keys.own.key, keys.own.certificate)
    forged, original = copy.deepcopy(response), copy.deepcopy(response)
    original.remove(original.find(f"{D}Signature"))
    forged.set("ID", "_evil")
    forged.find(f"{A}Assertion/{A}Subject/{A}NameID").text = "mallory-id"
    etree.SubElement(forged.find(f"{D}Signature"), f"{D}Object").append(original)
    return forged


def _wrap_response_detached(response: Tree, keys: Keys) -> Tree:
    """XSW2: the signed response before the signature of a forged one."""
    sign(response, keys.own.key, keys.own.certificate)
    forged, original = copy.deepcopy(response), copy.deepcopy(response)
    original.remove(original.find(f"{D}Signature"))
    forged.set("ID", "_evil")
    forged.find(f"{A}Assertion/{A}Subject/{A}NameID").text = "mallory-id"
    forged.find(f"{D}Signature").addprevious(original)
    return forged


def _wrap_before(response: Tree, keys: Keys) -> None:
    """XSW3: a forged assertion before the signed one."""
    assertion(response).addprevious(_evil(response))


def _wrap_around(response: Tree, keys: Keys) -> None:
    """XSW4: the signed assertion inside a forged one."""
    original, forged = assertion(response), _evil(response)
    response.replace(original, forged)
    forged.append(original)


def _wrap_signature_in_evil(response: Tree, keys: Keys) -> None:
    """XSW5: the signature in the forged assertion, the signed one after it."""
    original, forged = assertion(response), _evil(response)
    signature = original.find(f"{D}Signature")
    original.remove(signature)
    forged.insert(1, signature)
    original.addprevious(forged)


def _wrap_original_in_signature(response: Tree, keys: Keys) -> None:
    """XSW6: the signed assertion inside the signature of the forged one."""
    original, forged = assertion(response), _evil(response)
    signature = original.find(f"{D}Signature")
    original.remove(signature)
    response.replace(original, forged)
    forged.insert(1, signature)
    signature.append(original)


def _wrap_in_extensions(response: Tree, keys: Keys) -> None:
    """XSW7: the forged assertion where anything may stand."""
    extensions = etree.Element(f"{P}Extensions")
    extensions.append(_evil(response))
    response.find(f"{A}Issuer").addnext(extensions)


def _wrap_in_object(response: Tree, keys: Keys) -> None:
    """XSW8: the signed assertion as an object of the forged one's signature."""
    original, forged = assertion(response), _evil(response)
    signature = original.find(f"{D}Signature")
    original.remove(signature)
    response.replace(original, forged)
    forged.insert(1, signature)
    etree.SubElement(signature, f"{D}Object").append(original)


def _same_id(response: Tree, keys: Keys) -> None:
    forged = _evil(response)
    forged.set("ID", assertion(response).get("ID"))
    assertion(response).addnext(forged)


def _two_signed(response: Tree, keys: Keys) -> None:
    second = copy.deepcopy(assertion(response))
    second.set("ID", "_second")
    assertion(response).addnext(second)
    sign(second, keys.own.key, keys.own.certificate)


def _entity(response: Tree, keys: Keys) -> bytes:
    text = etree.tostring(response).replace(b"-id</", b"-&who;</")
    return b'<!DOCTYPE r [<!ENTITY who SYSTEM "file:///etc/hostname">]>' + text


def _empty_dtd(response: Tree, keys: Keys) -> bytes:
    return b"<!DOCTYPE r []>" + etree.tostring(response)


def _encrypted_junk(response: Tree, keys: Keys) -> None:
    encrypted = etree.fromstring(
        b'<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">'
        b'<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Type="http://www.w3.org/2001/04/xmlenc#Element">'
        b"<xenc:CipherData><xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
        b"</saml:EncryptedAssertion>"
    )
    response.replace(assertion(response), encrypted)


#: Name of what is wrong → how; nothing is answered where the tree itself was changed.
FORGERIES: dict[str, Callable[[Tree, Keys], Tree | bytes | None]] = {
    "no signature": _unsigned,
    "a name changed afterwards": _name_changed,
    "a group added afterwards": _group_added,
    "signed by another": _by("other"),
    "signed by another, who does not say so": _by("other", with_certificate=False),
    "another signature value": _signature_of_another,
    "signed with the public certificate": _hmac,
    "a SHA-1 signature": _by("own", signature=xmlsec.Transform.RSA_SHA1),
    "a SHA-1 digest": _by("own", digest=xmlsec.Transform.SHA1),
    "only the response is signed": _response_alone,
    "wrapped, 1": _wrap_response,
    "wrapped, 2": _wrap_response_detached,
    "wrapped, 3": _wrap_before,
    "wrapped, 4": _wrap_around,
    "wrapped, 5": _wrap_signature_in_evil,
    "wrapped, 6": _wrap_original_in_signature,
    "wrapped, 7": _wrap_in_extensions,
    "wrapped, 8": _wrap_in_object,
    "two assertions of one id": _same_id,
    "two signed assertions": _two_signed,
    "an external entity": _entity,
    "a document type": _empty_dtd,
    "an encrypted assertion that is none": _encrypted_junk,
}

JUNK: dict[str, dict[str, str]] = {
    "nothing": {},
    "an empty text": {"SAMLResponse": ""},
    "no base64": {"SAMLResponse": "!!!!"},
    "half of base64": {"SAMLResponse": "PGE"},
    "text": {"SAMLResponse": packed(b"hello")},
    "bytes": {"SAMLResponse": packed(bytes(range(256)))},
    "another document": {"SAMLResponse": packed(b"<a/>")},
    "an unfinished document": {"SAMLResponse": packed(b"<samlp:Response")},
    "a response without content": {
        "SAMLResponse": packed(
            b'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Version="2.0" ID="a"/>'
        )
    },
    "a request": {
        "SAMLResponse": packed(
            b'<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Version="2.0"/>'
        )
    },
    "a logout": {"SAMLRequest": packed(b"<a/>")},
    "a thousand nested elements": {"SAMLResponse": packed(b"<a>" * 1000 + b"</a>" * 1000)},
}
