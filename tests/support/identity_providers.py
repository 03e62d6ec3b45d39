"""Identity providers as hospitals have them, on loopback: npm's certified ``oidc-provider``, and ``samlp`` for SAML."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.conftest import free_port
from tests.support import npm_packages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOURCES = Path(__file__).parent / "identity_providers"
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RunningProvider:
    """One provider: its name in the sign-in settings, and where it answers."""

    name: str
    url: str
    shape: str

    def people(self, **people: dict[str, Any]) -> None:
        """Say who is who from now on."""
        httpx.put(f"{self.url}/_people", json=people, trust_env=False).raise_for_status()

    def rotate(self) -> None:
        """Sign with new keys, and none of the old (OpenID alone)."""
        httpx.post(f"{self.url}/_rotate", trust_env=False).raise_for_status()

    def options(self, **options: Any) -> None:
        """Options of ``samlp.auth`` that are different from now on (SAML alone); none: as they were."""
        httpx.put(f"{self.url}/_options", json=options, trust_env=False).raise_for_status()

    def described(self) -> str:
        """The provider's SAML metadata."""
        return httpx.get(f"{self.url}/metadata", trust_env=False).raise_for_status().text

    def document(self) -> dict[str, Any]:
        """What the trust store keeps of it, read from the provider itself."""
        if self.shape == "saml":
            from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser as Parser

            return {"idp": Parser.parse(self.described())["idp"]}
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            metadata = client.get("/.well-known/openid-configuration").raise_for_status().json()
            return {"metadata": metadata, "jwks": client.get(metadata["jwks_uri"]).raise_for_status().json()}


@contextmanager
def openid_providers(redirect_to: str, shapes: dict[str, str]) -> Iterator[dict[str, RunningProvider]]:
    """Run OpenID providers, name → shape (generic, okta, entra); ``redirect_to`` is followed by the name."""
    listed = [{"name": name, "port": free_port(), "shape": shape} for name, shape in shapes.items()]
    with _node(
        "op.mjs", {"redirect_to": redirect_to, "providers": listed}, listed, "/.well-known/openid-configuration"
    ):
        yield {each["name"]: RunningProvider(each["name"], _url(each), each["shape"]) for each in listed}


@contextmanager
def saml_providers(pair: KeyPair, names: Iterable[str]) -> Iterator[dict[str, RunningProvider]]:
    """Run SAML providers that all sign with one key."""
    listed = [{"name": name, "port": free_port()} for name in names]
    about = {"certificate": str(pair.certificate), "key": str(pair.key), "providers": listed}
    with _node("saml_idp.cjs", about, listed, "/metadata"):
        yield {each["name"]: RunningProvider(each["name"], _url(each), "saml") for each in listed}


def _url(listed: dict[str, Any]) -> str:
    return f"http://127.0.0.1:{listed['port']}"


@contextmanager
def _node(program: str, about: dict[str, Any], listed: list[dict[str, Any]], answers: str) -> Iterator[None]:
    folder = npm_packages.installed(SOURCES, "op.mjs", "saml_idp.cjs")
    with (
        tempfile.TemporaryFile() as printed,
        subprocess.Popen(
            ["node", program, json.dumps(about)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _START_SECONDS
            for each in listed:
                while not _answers(f"{_url(each)}{answers}"):
                    printed.seek(0)
                    assert process.poll() is None, f"{program} ended: {printed.read().decode()}"
                    assert time.monotonic() < deadline, f"{program} did not start within {_START_SECONDS} s"
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False, timeout=5).status_code == 200
    return False


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An RSA key and its self-signed certificate, as files in PEM."""

    key: Path
    certificate: Path


def key_pair(folder: Path, name: str, *, days: int = 365) -> KeyPair:
    """Make one; the certificate is good from yesterday, for ``days`` from today."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .sign(private, hashes.SHA256())
    )
    pair = KeyPair(folder / f"{name}.key", folder / f"{name}.crt")
    pair.key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return pair
