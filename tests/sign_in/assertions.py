"""What can be wrong with a SAML response: a real one, changed with lxml, and signed again with xmlsec where needed.

A *change* alters the response's tree before it is signed again with the provider's key; what was signed by nobody, or
by somebody else, is in :mod:`tests.sign_in.forgeries`.
"""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import xmlsec
from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tree = Any  # lxml's elements have no types

P, A, D = (
    "{urn:oasis:names:tc:SAML:2.0:protocol}",
    "{urn:oasis:names:tc:SAML:2.0:assertion}",
    "{http://www.w3.org/2000/09/xmldsig#}",
)
_FORMAT = "urn:oasis:names:tc:SAML:{}:nameid-format:{}"


def parse(response: str) -> Tree:
    """The tree of a ``SAMLResponse`` form field."""
    return etree.fromstring(base64.b64decode(response))


def packed(response: Tree | bytes) -> str:
    """A ``SAMLResponse`` form field."""
    return base64.b64encode(response if isinstance(response, bytes) else etree.tostring(response)).decode()


def sign(
    signed: Tree, key: Path, certificate: Path | None, *, signature: Any = xmlsec.Transform.RSA_SHA256,
    digest: Any = xmlsec.Transform.SHA256, hmac: bytes | None = None,
) -> None:  # fmt: skip
    """Sign an element that has an ID and an Issuer, in place of any signature that it had."""
    for old in signed.findall(f"{D}Signature"):
        signed.remove(old)
    node = xmlsec.template.create(signed.getroottree(), xmlsec.Transform.EXCL_C14N, signature)
    signed.insert(1, node)
    reference = xmlsec.template.add_reference(node, digest, uri=f"#{signed.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    context = xmlsec.SignatureContext()
    if hmac is not None:
        context.key = xmlsec.Key.from_binary_data(xmlsec.KeyData.HMAC, hmac)
    else:
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(node))
        context.key = xmlsec.Key.from_file(str(key), xmlsec.KeyFormat.PEM)
        if certificate is not None:
            context.key.load_cert_from_file(str(certificate), xmlsec.KeyFormat.PEM)
    context.register_id(signed, "ID")
    context.sign(node)


def assertion(response: Tree) -> Tree:
    return response.find(f"{A}Assertion")


def at(response: Tree, *names: str) -> Tree:
    """The element below the assertion, by the names of the way there."""
    found = assertion(response)
    for name in names:
        found = found.find(A + name)
    return found


def _data(response: Tree) -> Tree:
    return at(response, "Subject", "SubjectConfirmation", "SubjectConfirmationData")


def _minutes(number: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _set(find: Callable[[Tree], Tree], name: str, value: str | Callable[[], str] | None) -> Callable[[Tree], None]:
    def change(response: Tree) -> None:
        found = find(response)
        if value is None:
            del found.attrib[name]
        else:
            found.set(name, value if isinstance(value, str) else value())

    return change


def _text(find: Callable[[Tree], Tree], value: str) -> Callable[[Tree], None]:
    def change(response: Tree) -> None:
        find(response).text = value

    return change


def _gone(*names: str) -> Callable[[Tree], None]:
    def change(response: Tree) -> None:
        found = at(response, *names)
        found.getparent().remove(found)

    return change


def _both(*changes: Callable[[Tree], None]) -> Callable[[Tree], None]:
    def change(response: Tree) -> None:
        for each in changes:
            each(response)

    return change


def _root(response: Tree) -> Tree:
    return response


def _acs_inside(response: Tree) -> None:
    data = _data(response)
    data.set("Recipient", f"https://evil.example.org/?{data.get('Recipient')}")


def _destination_longer(response: Tree) -> None:
    response.set("Destination", response.get("Destination") + "more")


def _second_confirmation(response: Tree) -> None:
    confirmation = at(response, "Subject", "SubjectConfirmation")
    second = copy.deepcopy(confirmation)
    del second.find(f"{A}SubjectConfirmationData").attrib["Recipient"]
    confirmation.addnext(second)


def _attribute_twice(response: Tree) -> None:
    first = at(response, "AttributeStatement")[0]
    first.addnext(copy.deepcopy(first))


#: Name of what is wrong → (how, what the log calls the check). The provider signs all of it.
CHANGES: dict[str, tuple[Callable[[Tree], None], str]] = {
    "audience of another": (
        _text(lambda r: at(r, "Conditions", "AudienceRestriction", "Audience"), "https://other.example.org"),
        "wrong_audience",
    ),
    "no audience": (_gone("Conditions", "AudienceRestriction"), "no_audience"),
    "expired": (_set(lambda r: at(r, "Conditions"), "NotOnOrAfter", lambda: _minutes(-10)), "assertion_expired"),
    "not valid yet": (_set(lambda r: at(r, "Conditions"), "NotBefore", lambda: _minutes(10)), "assertion_too_early"),
    "no conditions": (_gone("Conditions"), "missing_conditions"),
    "confirmation expired": (_set(_data, "NotOnOrAfter", lambda: _minutes(-10)), "wrong_subjectconfirmation"),
    "confirmation not valid yet": (_set(_data, "NotBefore", lambda: _minutes(10)), "wrong_subjectconfirmation"),
    "confirmation without an expiry": (_set(_data, "NotOnOrAfter", None), "no_expiry"),
    "no recipient": (_set(_data, "Recipient", None), "recipient"),
    "recipient of another": (_set(_data, "Recipient", "https://other.example.org"), "wrong_subjectconfirmation"),
    "a recipient that contains our address": (_acs_inside, "recipient"),
    "a second confirmation without a recipient": (_second_confirmation, "recipient"),
    "holder of a key": (
        _set(
            lambda r: at(r, "Subject", "SubjectConfirmation"), "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
        ),
        "wrong_subjectconfirmation",
    ),
    "no confirmation": (_gone("Subject", "SubjectConfirmation"), "wrong_subjectconfirmation"),
    "answers another request": (_set(_data, "InResponseTo", "_other"), "wrong_subjectconfirmation"),
    "answers another request, all of it": (
        _both(_set(_root, "InResponseTo", "_other"), _set(_data, "InResponseTo", "_other")), "wrong_inresponseto",
    ),
    "only the unsigned part answers the request": (_set(_data, "InResponseTo", None), "in_response_to"),
    "answers no request": (
        _both(_set(_root, "InResponseTo", None), _set(_data, "InResponseTo", None)), "in_response_to",
    ),
    "sent to another": (_set(_root, "Destination", "https://other.example.org"), "wrong_destination"),
    "sent to an address that begins as ours": (_destination_longer, "destination"),
    "sent to nowhere": (_set(_root, "Destination", ""), "empty_destination"),
    "another issuer of the assertion": (_text(lambda r: at(r, "Issuer"), "https://another.org"), "wrong_issuer"),
    "another issuer of the response": (_text(lambda r: r.find(f"{A}Issuer"), "https://another.org"), "wrong_issuer"),
    "no success": (
        _set(lambda r: r.find(f"{P}Status/{P}StatusCode"), "Value", "urn:oasis:names:tc:SAML:2.0:status:Requester"),
        "status_code_is_not_success",
    ),
    "no sign-in at the provider": (_gone("AuthnStatement"), "wrong_number_of_authstatements"),
    "a session that is over": (
        _set(lambda r: at(r, "AuthnStatement"), "SessionNotOnOrAfter", lambda: _minutes(-10)), "session_expired",
    ),
    "no attributes": (_gone("AttributeStatement"), "no_attributestatement"),
    "an attribute twice": (_attribute_twice, "duplicated_attribute_name_found"),
    "no name": (_gone("Subject", "NameID"), "no_nameid"),
    "an empty name": (_text(lambda r: at(r, "Subject", "NameID"), ""), "empty_nameid"),
    "a passing name": (
        _set(lambda r: at(r, "Subject", "NameID"), "Format", _FORMAT.format("2.0", "transient")), "name_id_format",
    ),
    "a mail address for a name": (
        _set(lambda r: at(r, "Subject", "NameID"), "Format", _FORMAT.format("1.1", "emailAddress")), "name_id_format",
    ),
    "a name of 300 characters": (_text(lambda r: at(r, "Subject", "NameID"), "x" * 300), "subject"),
    "SAML 1.1": (_set(_root, "Version", "1.1"), "unsupported_saml_version"),
    "no id": (_set(_root, "ID", None), "missing_id"),
}  # fmt: skip
