"""Signing in to Microsoft Graph as an application: client credentials, by secret or by certificate.

The connection is one of Airflow's type ``msgraph`` (provider microsoft-azure): ``login`` is the application's ID,
``password`` its secret; ``extra`` has ``tenant_id``, and where they differ from Microsoft's public cloud ``authority``,
``scopes`` and ``host``; ``certificate_path`` or ``certificate_data`` (PEM, with its key) in place of a secret. Source:
learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.destinations.http_address import base_url
from include.errors import ConfigurationError, DeliveryRefused, DestinationUnavailable

if TYPE_CHECKING:
    import httpx

    from include.destinations.connection import ConnectionDetails

_AUTHORITY, _GRAPH = "https://login.microsoftonline.com", "https://graph.microsoft.com"


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in where. ``base`` is Graph's address with its version, ``token_endpoint`` the tenant's."""

    name: str
    base: str
    token_endpoint: str
    client_id: str
    scope: str
    secret: str | None = field(default=None, repr=False)
    certificate: str | None = field(default=None, repr=False)

    def token(self, http: httpx.Client) -> str:
        """Get a new token.

        Raises:
            DeliveryRefused: the credentials are refused.
            DestinationUnavailable: nobody answers, or not with a token.
        """
        import httpx

        form = {"grant_type": "client_credentials", "client_id": self.client_id, "scope": self.scope}
        try:
            response = http.post(self.token_endpoint, data=form | self._proof())
            told = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._silent(type(error).__name__) from None
        if response.status_code in {400, 401, 403}:
            code = str(told.get("error") or response.status_code)[:80]
            raise DeliveryRefused(
                f"Connection {self.name}: Microsoft refuses the application ({code}).",
                next_step="check tenant_id, the application's ID, and whether its secret or certificate has expired",
            )
        if response.status_code != 200 or "access_token" not in told:
            raise self._silent(str(response.status_code))
        return str(told["access_token"])

    def _silent(self, why: str) -> DestinationUnavailable:
        return DestinationUnavailable(
            f"Connection {self.name}: no token could be had ({why}).", next_step="nothing; it is tried again"
        )

    def _proof(self) -> dict[str, str]:
        """The secret, or an assertion that the certificate's key signs, with the certificate's thumbprint."""
        if self.certificate is None:
            return {"client_secret": self.secret or ""}
        import jwt
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

        pem, now = self.certificate.encode(), datetime.now(UTC)
        try:
            der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
            key: Any = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise ConfigurationError(
                f"Connection {self.name}: its certificate is no PEM with a certificate and its unprotected key.",
                next_step="put both into one file",
            ) from None
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        claims = {
            "aud": self.token_endpoint,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": str(uuid.uuid4()),
            "nbf": now,
            "exp": now + timedelta(minutes=5),
        }
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, key, algorithm="PS256", headers={"x5t#S256": thumbprint}),
        }


def account_of(connection: ConnectionDetails) -> Account:
    """Read a connection.

    Raises:
        ConfigurationError: it lacks something, or names an address without TLS.
    """
    extra = connection.extra
    certificate = extra.get("certificate_data")
    if certificate is None and extra.get("certificate_path"):
        try:
            certificate = Path(str(extra["certificate_path"])).read_text("utf-8")
        except OSError:
            raise ConfigurationError(
                f"Connection {connection.name}: its certificate_path cannot be read.",
                next_step="correct the path, or the file's permissions",
            ) from None
    missing = [
        name
        for name, value in (
            ("login (the application's ID)", connection.login),
            ("password (its secret) or a certificate", connection.password or certificate),
            ("tenant_id in its extra", extra.get("tenant_id")),
        )
        if not value
    ]
    if missing:
        raise ConfigurationError(
            f"Connection {connection.name} lacks {', '.join(missing)}.",
            next_step="complete it; docs/runbooks/outlook.md tells how",
        )
    host = base_url(connection) if connection.host else _GRAPH
    authority = base_url(replace(connection, host=str(extra.get("authority") or _AUTHORITY), port=None))
    scopes = extra.get("scopes") or f"{_GRAPH}/.default"
    return Account(
        name=connection.name,
        base=f"{host}/{extra.get('api_version') or 'v1.0'}",
        token_endpoint=f"{authority}/{extra['tenant_id']}/oauth2/v2.0/token",
        client_id=str(connection.login),
        scope=" ".join(scopes) if isinstance(scopes, list) else str(scopes),
        secret=connection.password if certificate is None else None,
        certificate=certificate,
    )
