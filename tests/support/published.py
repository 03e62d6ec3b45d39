"""What identity providers publish, made up: certificates, metadata, keys, and a server on loopback that serves them."""

from __future__ import annotations

import json
import threading
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import import_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
DISCOVERY = "/.well-known/openid-configuration"
Answer = tuple[int, dict[str, str], bytes]


def private_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name; making them is what takes time."""
    return _private_key(name, bits)


@cache
def _private_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def jwk(name: str, *, bits: int = 2048, **more: Any) -> dict[str, Any]:
    """The public half of a key, as a key set has it."""
    numbers = private_key(name, bits).public_key().public_numbers()
    n, e = (_number(each) for each in (numbers.n, numbers.e))
    return {"kty": "RSA", "n": n, "e": e, "kid": name, "use": "sig", "alg": "RS256"} | more


def _number(value: int) -> str:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def elliptic_jwk(**more: Any) -> dict[str, Any]:
    pem = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return {**import_key(pem, "EC").as_dict(private=False), "kid": "ec", "use": "sig"} | more


#: Since when certificates count their days: whoever judges them at a moment of its own takes this one.
NOW = datetime.now(UTC)


def certificate(
    name: str = "idp",
    *,
    ends_in: timedelta = timedelta(days=400),
    bits: int = 2048,
    algorithm: hashes.HashAlgorithm | None = None,
) -> str:
    """A self-signed certificate in PEM."""
    key, now = private_key(name, bits), NOW
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + ends_in)
        .sign(key, algorithm or hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def der(pem: str) -> str:
    """A certificate as metadata have it: base64 without lines around it."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


#: Signed by SHA-1, which the library no longer makes: RSA 2048, valid until 2126.
SHA1_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIC/zCCAeegAwIBAgIUQ9vIa26JmNK9URCd/oxQltjAX9AwDQYJKoZIhvcNAQEF
BQAwDjEMMAoGA1UEAwwDb2xkMCAXDTI2MTEyODIwNTM0OFoYDzIxMjYxMTA0MjA1
MzQ4WjAOMQwwCgYDVQQDDANvbGQwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEK
AoIBAQC8eyEi9OAaUClSR4+ucgm5CN374S9yKhwYQoZ0aqpr6mgdUgCxfRYbiCsB
JOd/PGGHXdGZmzUEQdfIMJSDEB9P19MzD/z5xNEdf2cjmkQ8AH/twRwPzHoD5BzQ
M1NVK1yHRCifxDO2KU39BiHygFHy1NOUufZEmxtOtf8/diek7lbMSY+lubyzvadU
cwf72Gu4CpmY8jZqGtofXkEoXVrr6FiXqPbbkUyFseqO2pxv5nBtotphzKwl/Jk0
rHbn2u2HLh//mmp7iur6/ZykcwvrIG/ZvruZmUoXxKLK3lu7+EaX3hTYfWOrM3j2
LRMrlcCQbvTkrZwqDkX5Z5quFC8bAgMBAAGjUzBRMB0GA1UdDgQWBBTItWxQiuxY
cHUOcxHlb7bl6XEb3zAfBgNVHSMEGDAWgBTItWxQiuxYcHUOcxHlb7bl6XEb3zAP
BgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBBQUAA4IBAQCK6O90syfCPFFSLz/v
Z8FsorK8Ugr1CHeBtdUnLRP31N2zK52brBOd6cj7nx38LtubmxCD4V1ZZezFjxgu
DyWJtPn4W7BTUvN40ajOkHcMPJO2Hdrmiu8BAmEDO4Elr+gw3Wqki7RiAeqUf30e
9qung364cqwtXEC5zZ19drjLmfqGkIEORZourOQPVYnXQ3lnEqU9f9sOAhwi73PX
kH6fkTOJLSblXuSmAZmr8OeoYf7r7XbMSOWfXqhRoBz2J89rAub8MoXUsUb7JiSI
/vEuLvvS25xnBssxl5oj+rqayVSCo8+2y8u4AH1smq5GzP8GatnwAEEp2TtnuBfk
RrTs
-----END CERTIFICATE-----
"""


def metadata(
    *certificates: str,
    entity_id: str | None = "https://idp.example.org/saml",
    address: str | None = "https://idp.example.org/sso",
    binding: str = REDIRECT,
    encryption: str | None = None,
    log_out: str | None = None,
) -> str:
    """SAML metadata of one identity provider; certificates in PEM."""
    keys = [_key(each, "signing") for each in certificates] + ([_key(encryption, "encryption")] if encryption else [])
    sso = f'<md:SingleSignOnService Binding="{binding}" Location="{address}"/>' if address else ""
    slo = f'<md:SingleLogoutService Binding="{REDIRECT}" Location="{log_out}"/>' if log_out else ""
    entity = f' entityID="{entity_id}"' if entity_id else ""
    return (
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_m1"{entity}>'
        '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f"{''.join(keys)}{slo}{sso}</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


def _key(pem: str, use: str) -> str:
    return (
        f'<md:KeyDescriptor use="{use}"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>'
        f"<ds:X509Certificate>{der(pem)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def signed(xml: str, name: str = "federation") -> str:
    """The metadata with a signature of the whole document by the key ``name``."""
    from onelogin.saml2.utils import OneLogin_Saml2_Utils as Utils

    made: bytes = Utils.add_sign(xml, _pem(name).decode(), certificate(name))
    return made.decode() if isinstance(made, bytes) else made


def signed_in_part(xml: str, identity: str, name: str = "federation") -> str:
    """The document with a sound signature at its top, of the element ``identity`` alone."""
    import xmlsec
    from lxml import etree

    root = etree.fromstring(xml.encode())
    xmlsec.tree.add_ids(root, ["ID"])
    signature = xmlsec.template.create(root, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256)
    root.insert(0, signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri=f"#{identity}")
    if identity == root.get("ID"):
        xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(_pem(name), xmlsec.KeyFormat.PEM)
    context.sign(signature)
    return etree.tostring(root).decode()


def _pem(name: str) -> bytes:
    return private_key(name).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass
class Site:
    """A web server on loopback. ``pages``: path → answer, or a function of the handler that answers itself."""

    url: str
    pages: dict[str, Answer | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def json(self, path: str, value: Any) -> None:
        self.pages[path] = (200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def xml(self, path: str, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.pages[path] = (200, {"Content-Type": "application/samlmetadata+xml"}, data)

    def oidc(self, keys: list[dict[str, Any]] | None = None, at: str = "", **more: Any) -> str:
        """Serve a provider of OpenID Connect below ``at``; its issuer."""
        issuer = f"{self.url}{at}"
        self.json(f"{at}/jwks", {"keys": [jwk("one")] if keys is None else keys})
        document = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/auth",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        self.json(f"{at}{DISCOVERY}", {k: v for k, v in (document | more).items() if v is not None})
        return issuer


@contextmanager
def site() -> Iterator[Site]:
    """Run such a server."""
    served = Site("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            page = served.pages.get(self.path, (404, {"Content-Type": "text/plain"}, b""))
            if callable(page):
                page(self)
                return
            status, headers, body = page
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nothing: the tests look at ``asked``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
