"""What of a signed or encrypted XML message may come before xmlsec at all, which does as it is told before it verifies.

XML signatures name the transforms that are applied, and the places that are read, before anything is compared: an XSLT
program, an XPath expression, any file of this machine. Whoever sends a message chooses them, whether or not it is
signed at the end. SAML needs one reference to the parent, and two transforms (SAML Core, 5.4), so that here is a
grammar of the elements that identity providers really send, and everything else is refused unread.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    Element = Any  # lxml's elements have no types

_D, _E, _E11, _C = (
    "{http://www.w3.org/2000/09/xmldsig#}",
    "{http://www.w3.org/2001/04/xmlenc#}",
    "{http://www.w3.org/2009/xmlenc11#}",
    "{http://www.w3.org/2001/10/xml-exc-c14n#}",
)
SIGNATURE = f"{_D}Signature"
_REFERENCE, _TRANSFORM, _CANONICAL = f"{_D}Reference", f"{_D}Transform", f"{_D}CanonicalizationMethod"
_PREFIXES = f"{_C}InclusiveNamespaces"
_EXCLUSIVE = frozenset(_C.strip("{}") + comments for comments in ("", "WithComments"))
_ENVELOPED = f"{_D.strip('{}')}enveloped-signature"
#: Everything of these namespaces is in the grammar below, or is refused.
_NAMESPACES = ("{http://www.w3.org/", "{http://www.aleksey.com/")
#: Element → what may be its children.
_GRAMMAR: dict[str, frozenset[str]] = {
    parent: frozenset(children.split())
    for parent, children in {
        SIGNATURE: f"{_D}SignedInfo {_D}SignatureValue {_D}KeyInfo",
        f"{_D}SignedInfo": f"{_CANONICAL} {_D}SignatureMethod {_REFERENCE}",
        _REFERENCE: f"{_D}Transforms {_D}DigestMethod {_D}DigestValue",
        f"{_D}Transforms": _TRANSFORM,
        _TRANSFORM: _PREFIXES,
        _CANONICAL: _PREFIXES,
        f"{_D}KeyInfo": f"{_D}KeyName {_D}KeyValue {_D}X509Data {_E}EncryptedKey",
        f"{_D}KeyValue": f"{_D}RSAKeyValue",
        f"{_D}RSAKeyValue": f"{_D}Modulus {_D}Exponent",
        f"{_D}X509Data": f"{_D}X509Certificate {_D}X509IssuerSerial {_D}X509SKI {_D}X509SubjectName",
        f"{_D}X509IssuerSerial": f"{_D}X509IssuerName {_D}X509SerialNumber",
        f"{_E}EncryptedData": f"{_E}EncryptionMethod {_D}KeyInfo {_E}CipherData",
        f"{_E}EncryptedKey": f"{_E}EncryptionMethod {_D}KeyInfo {_E}CipherData {_E}ReferenceList {_E}CarriedKeyName",
        f"{_E}EncryptionMethod": f"{_D}DigestMethod {_E}KeySize {_E}OAEPparams {_E11}MGF",
        f"{_E}CipherData": f"{_E}CipherValue",
        f"{_E}ReferenceList": f"{_E}DataReference",
    }.items()
}
_KNOWN = frozenset(_GRAMMAR).union(*_GRAMMAR.values())
_NOTHING: frozenset[str] = frozenset()
#: How often an element may stand in a message: the response and its assertion may be signed, the assertion and its
#: subject's name encrypted. Each costs work with a key.
_MOST = {SIGNATURE: 2, f"{_E}EncryptedData": 2, f"{_E}EncryptedKey": 4}
_MOST_TRANSFORMS = 2
_MOST_PREFIXES = 200  # characters: each prefix is looked for at each element
_MOST_ATTRIBUTES = 64  # of an element: the canonical form sorts them in the square of their number
#: An identifier, which is neither an XPointer nor a way out of the quotes that xmlsec puts around it.
_IDENTIFIER = re.compile(r"[\w.-]+", re.ASCII)


class UnsafeXml(ValueError):
    """A message asks for more than a signature of SAML needs. The message says in a few fixed words for what."""


def check_message(root: Element) -> None:
    """Look through a whole message, before anything of it is verified or decrypted; and again when it was decrypted.

    Raises:
        UnsafeXml: xmlsec must not see it.
    """
    elements = list(root.iter("*"))
    for each in elements:
        _check_element(each)
    times = Counter(each.tag for each in elements)
    if any(times[name] > most for name, most in _MOST.items()):
        raise UnsafeXml("too many signatures or keys")
    for each in elements:
        if each.tag == SIGNATURE:
            check_signature(each)


def check_signature(signature: Element) -> None:
    """Look through one signature: it is of its parent, all of it, and of nothing else.

    Raises:
        UnsafeXml: xmlsec must not see it.
    """
    for each in signature.iter("*"):
        _check_element(each)
    _check_algorithms(signature)
    references = _all(signature, _REFERENCE)
    parent = signature.getparent()
    identity = "" if parent is None else parent.get("ID", "")
    if len(references) != 1 or not _IDENTIFIER.fullmatch(identity) or references[0].get("URI") != f"#{identity}":
        raise UnsafeXml("a signature that is not of its parent alone")
    same = parent.xpath("count(//@*[translate(local-name(), 'ID', 'id') = 'id'][. = $identity])", identity=identity)
    if same != 1:
        raise UnsafeXml("an identifier that stands there twice")
    if any(len(each.attrib) > _MOST_ATTRIBUTES for each in parent.iter("*")):
        raise UnsafeXml("too many attributes")


def _all(signature: Element, name: str) -> list[Element]:
    """The elements of that name. Names are compared here: lxml overlooks elements that xmlsec made in its tree."""
    return [each for each in signature.iter("*") if each.tag == name]


def _check_element(element: Element) -> None:
    if element.tag in _KNOWN:
        _check_children(element, _GRAMMAR.get(element.tag, _NOTHING))
    elif element.tag.startswith(_NAMESPACES):
        raise UnsafeXml("an element of signatures that SAML does not need")


def _check_children(element: Element, allowed: Iterable[str]) -> None:
    if any(child.tag not in allowed for child in element if isinstance(child.tag, str)):
        raise UnsafeXml("an element where signatures have none")


def _check_algorithms(signature: Element) -> None:
    transforms = [each.get("Algorithm") for each in _all(signature, _TRANSFORM)]
    if len(transforms) > _MOST_TRANSFORMS or not set(transforms) <= {_ENVELOPED, *_EXCLUSIVE}:
        raise UnsafeXml("a transform that SAML does not need")
    if any(each.get("Algorithm") not in _EXCLUSIVE for each in _all(signature, _CANONICAL)):
        raise UnsafeXml("a canonical form that SAML does not need")
    if any(len(each.get("PrefixList", "")) > _MOST_PREFIXES for each in _all(signature, _PREFIXES)):
        raise UnsafeXml("too many prefixes")
