"""SAML responses that would have xmlsec run a program, or open a file, before it finds that nobody signed them.

``trap`` is a named pipe: whoever opens it to read waits for a writer, and :func:`watched` notices.
"""

from __future__ import annotations

import copy
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import xmlsec
from lxml import etree

from tests.sign_in.assertions import A, D, assertion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Tree = Any  # lxml's elements have no types

E = "{http://www.w3.org/2001/04/xmlenc#}"
_XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
_XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_IDENTITY = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    '<xsl:template match="/"><xsl:copy-of select="."/></xsl:template></xsl:stylesheet>'
)
_SECONDS = 5


@contextmanager
def watched(folder: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A trap, and whether something stepped into it; that is let go on at once, so that nothing hangs."""
    trap, opened, over = folder / "trap", threading.Event(), threading.Event()
    os.mkfifo(trap)

    def watch() -> None:
        while not over.wait(0.02):
            try:
                os.close(os.open(trap, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads
                continue
            opened.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield trap, opened
    finally:
        over.set()
        thread.join(_SECONDS)
        trap.unlink()


def _signature(response: Tree) -> Tree:
    return assertion(response).find(f"{D}Signature")


def _transforms(signature: Tree) -> Tree:
    return signature.find(f"{D}SignedInfo/{D}Reference/{D}Transforms")


def _reference(uri: str) -> Tree:
    made = etree.Element(f"{D}Reference", URI=uri)
    etree.SubElement(made, f"{D}DigestMethod", Algorithm="http://www.w3.org/2001/04/xmlenc#sha256")
    etree.SubElement(made, f"{D}DigestValue").text = "AAAA"
    return made


def program(signature: Tree, trap: Path) -> None:
    """A program instead of the canonical form."""
    transform = etree.SubElement(_transforms(signature), f"{D}Transform", Algorithm=_XSLT)
    transform.append(etree.fromstring(_IDENTITY))


def expression(signature: Tree, trap: Path) -> None:
    transform = etree.SubElement(_transforms(signature), f"{D}Transform", Algorithm=_XPATH)
    etree.SubElement(transform, f"{D}XPath").text = "count(//*[count(//*) > 0]) > 0"


def canonical_forms(signature: Tree, trap: Path) -> None:
    for _ in range(50):
        etree.SubElement(_transforms(signature), f"{D}Transform", Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")


def file_beside(signature: Tree, trap: Path) -> None:
    """A second reference; the first is the right one, and that is where python3-saml looks."""
    signature.find(f"{D}SignedInfo").append(_reference(trap.as_uri()))


def file_before(signature: Tree, trap: Path) -> None:
    signature.find(f"{D}SignedInfo/{D}Reference").addprevious(_reference(trap.as_uri()))


def file_in_manifest(signature: Tree, trap: Path) -> None:
    manifest = etree.SubElement(etree.SubElement(signature, f"{D}Object"), f"{D}Manifest")
    manifest.append(_reference(trap.as_uri()))


def file_as_key(signature: Tree, trap: Path) -> None:
    key = signature.find(f"{D}KeyInfo")
    etree.SubElement(key, f"{D}RetrievalMethod", URI=trap.as_uri(), Type=f"{D.strip('{}')}X509Data")


def pointer(signature: Tree, trap: Path) -> None:
    """An identifier that is an expression."""
    signature.getparent().set("ID", "xpointer(//*[count(//*)>0])")
    signature.find(f"{D}SignedInfo/{D}Reference").set("URI", "#xpointer(//*[count(//*)>0])")


def prefixes(signature: Tree, trap: Path) -> None:
    transform = _transforms(signature)[-1]
    etree.SubElement(transform, "{http://www.w3.org/2001/10/xml-exc-c14n#}InclusiveNamespaces", PrefixList="a " * 5000)


#: Name → what is done to the signature of a response's assertion, or of metadata.
SIGNATURES: dict[str, Callable[[Tree, Path], None]] = {
    "a program": program,
    "an expression": expression,
    "fifty canonical forms": canonical_forms,
    "a file beside": file_beside,
    "a file before": file_before,
    "a file in a manifest": file_in_manifest,
    "a file as a key": file_as_key,
    "an expression as an identifier": pointer,
    "thousands of prefixes": prefixes,
}


def encrypted(response: Tree, certificate: Path) -> None:
    """Encrypt the assertion for whoever has the certificate: it is public."""
    clear = assertion(response)
    outer = etree.Element(f"{A}EncryptedAssertion")
    response.replace(clear, outer)
    data = xmlsec.template.encrypted_data_create(
        response.getroottree(), xmlsec.Transform.AES128, type=xmlsec.EncryptionType.ELEMENT, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    key = xmlsec.template.add_encrypted_key(
        xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds"), xmlsec.Transform.RSA_OAEP
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(key)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_file(str(certificate), xmlsec.KeyFormat.CERT_PEM))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, 128, xmlsec.KeyDataType.SESSION)
    outer.append(clear)
    context.encrypt_xml(data, clear)


def _of(response: Tree, name: str) -> Tree:
    """The first element of that name: lxml's own search overlooks what xmlsec made."""
    return next(each for each in response.iter("*") if each.tag == name)


def _inside(change: Callable[[Tree, Path], None]) -> Callable[[Tree, Path, Path], None]:
    def forge(response: Tree, trap: Path, certificate: Path) -> None:
        change(_signature(response), trap)
        encrypted(response, certificate)

    return forge


def _plain(change: Callable[[Tree, Path], None]) -> Callable[[Tree, Path, Path], None]:
    return lambda response, trap, _: change(_signature(response), trap)


def _elsewhere(response: Tree, trap: Path, certificate: Path) -> None:
    """What is encrypted lies in a file."""
    encrypted(response, certificate)
    data = _of(response, f"{E}EncryptedData")[-1]
    data.remove(data[0])
    etree.SubElement(data, f"{E}CipherReference", URI=trap.as_uri())


def _key_elsewhere(response: Tree, trap: Path, certificate: Path) -> None:
    """The key that it was encrypted with lies in a file."""
    encrypted(response, certificate)
    info = _of(response, f"{D}KeyInfo")
    method = etree.Element(f"{D}RetrievalMethod", URI=trap.as_uri(), Type=f"{E.strip('{}')}EncryptedKey")
    info.insert(0, method)


def _many_keys(response: Tree, trap: Path, certificate: Path) -> None:
    encrypted(response, certificate)
    info = _of(response, f"{D}KeyInfo")
    for _ in range(500):
        info.append(copy.deepcopy(info[0]))


#: Name → what is done to a response. ``certificate`` is this installation's.
UNSAFE: dict[str, Callable[[Tree, Path, Path], None]] = {
    **{name: _plain(change) for name, change in SIGNATURES.items()},
    **{f"{name}, encrypted": _inside(change) for name, change in SIGNATURES.items()},
    "encrypted content that is a file": _elsewhere,
    "an encrypted key that is a file": _key_elsewhere,
    "hundreds of encrypted keys": _many_keys,
}
