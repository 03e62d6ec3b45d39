"""What of signed and encrypted XML may come before xmlsec: what providers send passes, and nothing else."""

from __future__ import annotations

import pytest
from lxml import etree

from include.sources.xml_signatures import UnsafeXml, check_message, check_signature

D, E, C = (
    "http://www.w3.org/2000/09/xmldsig#",
    "http://www.w3.org/2001/04/xmlenc#",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
)
EXCLUSIVE = f'<ds:Transform Algorithm="{C}"/>'


def signature(
    identity: str = "_a",
    transforms: str = EXCLUSIVE,
    *,
    canonical: str = C,
    key: str = "",
    more: str = "",
    end: str = "",
) -> str:
    return (
        f'<ds:Signature><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{canonical}"/>'
        '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
        f'<ds:Reference URI="#{identity}"><ds:Transforms><ds:Transform Algorithm="{D}enveloped-signature"/>{transforms}'
        f'</ds:Transforms><ds:DigestMethod Algorithm="{E}sha256"/><ds:DigestValue>AA==</ds:DigestValue></ds:Reference>'
        f"{more}</ds:SignedInfo><ds:SignatureValue>AA==</ds:SignatureValue><ds:KeyInfo>{key}</ds:KeyInfo>{end}"
        "</ds:Signature>"
    )


def checked(content: str, identity: str = "_a") -> None:
    root = f'<r xmlns:ds="{D}" xmlns:xenc="{E}" xmlns:ec="{C}" ID="{identity}"><i>who</i>{content}</r>'
    check_message(etree.fromstring(root))


CERTIFICATE = "<ds:X509Data><ds:X509Certificate>AA==</ds:X509Certificate></ds:X509Data>"
ENCRYPTED = (
    '<xenc:EncryptedData><xenc:EncryptionMethod Algorithm="x"/><ds:KeyInfo><xenc:EncryptedKey>'
    f'<xenc:EncryptionMethod Algorithm="y"><ds:DigestMethod Algorithm="{E}sha256"/></xenc:EncryptionMethod>'
    "<xenc:CipherData><xenc:CipherValue>AA==</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>"
    "<xenc:CipherData><xenc:CipherValue>AA==</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
)
SOUND = {
    "nothing": "",
    "a plain one": signature(),
    "a certificate": signature(key=CERTIFICATE),
    "a bare key": signature(
        key="<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>A</ds:Modulus><ds:Exponent>A</ds:Exponent></ds:RSAKeyValue>"
        "</ds:KeyValue>"
    ),
    "prefixes": signature(
        transforms=f'<ds:Transform Algorithm="{C}"><ec:InclusiveNamespaces PrefixList="xs xsi"/></ds:Transform>'
    ),
    "with comments": signature(transforms=f'<ds:Transform Algorithm="{C}WithComments"/>', canonical=f"{C}WithComments"),
    "without a second transform": signature(transforms=""),
    "something encrypted": ENCRYPTED,
}
REFERENCE = f'<ds:Reference URI="file:///dev/null"><ds:DigestMethod Algorithm="{E}sha256"/></ds:Reference>'
UNSAFE = {
    "another's": signature("_b"),
    "of everything": signature().replace('"#_a"', '""'),
    "of nothing that is named": signature().replace(' URI="#_a"', ""),
    "of a file": signature().replace('"#_a"', '"file:///dev/null"'),
    "of a file too": signature(more=REFERENCE),
    "without a reference": signature(more="<x/>"),
    "a program": signature(transforms='<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>'),
    "an expression": signature(transforms='<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"/>'),
    "text out of text": signature(transforms=f'<ds:Transform Algorithm="{D}base64"/>'),
    "no algorithm": signature(transforms="<ds:Transform/>"),
    "three transforms": signature(transforms=EXCLUSIVE * 2),
    "another canonical form": signature(canonical="http://www.w3.org/TR/1999/REC-xslt-19991116"),
    "thousands of prefixes": signature(
        transforms=f'<ds:Transform Algorithm="{C}"><ec:InclusiveNamespaces PrefixList="{"a " * 1000}"/></ds:Transform>'
    ),
    "a length of the signature": signature().replace(
        'rsa-sha256"/>', 'hmac-sha256"><ds:HMACOutputLength>1</ds:HMACOutputLength></ds:SignatureMethod>'
    ),
    "an object": signature(end="<ds:Object/>"),
    "a manifest": signature(end=f"<ds:Object><ds:Manifest>{REFERENCE}</ds:Manifest></ds:Object>"),
    "what is signed inside it": signature(end="<a/>"),
    "a key elsewhere": signature(key='<ds:RetrievalMethod URI="file:///dev/null"/>'),
    "a key elsewhere, by another word": signature(
        key='<k:KeyInfoReference xmlns:k="http://www.w3.org/2009/xmldsig11#" URI="file:///dev/null"/>'
    ),
    "a secret key": signature(key='<k:HMACKeyValue xmlns:k="http://www.aleksey.com/xmlsec/2002">A</k:HMACKeyValue>'),
    "a key of a password": ENCRYPTED.replace(
        "<ds:KeyInfo>", '<ds:KeyInfo><k:DerivedKey xmlns:k="http://www.w3.org/2009/xmlenc11#"/>'
    ),
    "something encrypted elsewhere": ENCRYPTED.replace(
        "<xenc:CipherValue>AA==</xenc:CipherValue>", '<xenc:CipherReference URI="file:///dev/null"/>'
    ),
    "a transform outside": '<ds:Transforms><ds:Transform Algorithm="x"><y/></ds:Transform></ds:Transforms>',
    "a program outside": '<t:stylesheet xmlns:t="http://www.w3.org/1999/XSL/Transform"/>',
    "a name that is there twice": signature() + '<b ID="_a"/>',
    "a name that is there twice, as XML has it": signature() + '<b xml:id="_a"/>',
    "thousands of attributes": signature() + "<b " + " ".join(f"a{number}='x'" for number in range(1000)) + "/>",
    "many keys": ENCRYPTED * 3,
    "three signatures": f'{signature()}<b ID="_b">{signature("_b")}</b><c ID="_c">{signature("_c")}</c>',
}


@pytest.mark.parametrize("what", SOUND)
def test_what_providers_send_passes(what):
    checked(SOUND[what])


def test_a_response_and_its_assertion_may_both_be_signed():
    checked(f'{signature()}<b ID="_b">{signature("_b")}</b>')


@pytest.mark.parametrize("what", UNSAFE)
def test_anything_else_is_refused(what):
    with pytest.raises(UnsafeXml):
        checked(UNSAFE[what])


@pytest.mark.parametrize("identity", ["", "xpointer(/)", "a') or id('b", "a b", "ä"])
def test_an_identifier_is_a_name_and_no_expression(identity):
    with pytest.raises(UnsafeXml, match="not of its parent alone"):
        checked(signature(identity), identity)


def test_a_signature_of_nothing_is_refused():
    with pytest.raises(UnsafeXml):
        check_signature(etree.fromstring(signature().replace("<ds:Signature>", f'<ds:Signature xmlns:ds="{D}">')))
