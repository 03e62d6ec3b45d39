"""OpenID Connect: Authlib's client, told by the trust store whom it talks to and whose signatures count.

Authlib does the protocol (state, nonce, PKCE, code, ID token). Here is what it leaves to others: nothing of a
provider's description comes from the network at a sign-in, only asymmetric signatures count, the audience is ours, an
ID token is there at all, and the userinfo endpoint speaks of the same person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from joserfc.errors import InvalidKeyIdError, JoseError
from requests import RequestException

from include.expectations.trust_material import ALGORITHMS
from include.sign_in.identity import Identity, word, words
from include.sign_in.keys import known_keys, newer_keys
from include.sign_in.refusals import (
    DECLINED,
    KEY_UNKNOWN,
    NOT_AVAILABLE,
    NOT_PROVED,
    NOT_STARTED_HERE,
    UNREACHABLE,
    SignInRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from include.sign_in.settings import OidcProvider
    from include.sign_in.trust import Trusted

_TIMEOUT = 10  # seconds without an answer
_LEEWAY = 120  # seconds that clocks may differ
#: What is taken over of a discovery document. Authlib would hand every other key on as an option of its own client.
_METADATA = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
_METHODS = ("client_secret_basic", "client_secret_post")


class PinnedClient(FlaskOAuth2App):  # type: ignore[misc]  # authlib is untyped
    """Authlib's client with what the trust store says, and no way to read it anywhere else."""

    def __init__(self, provider: OidcProvider, trusted: Trusted, again: Callable[[], Trusted]) -> None:
        metadata = trusted.document["metadata"]
        listed = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        # Asymmetric ones: documents may list "none", or HS256, which whoever has the client secret could sign with.
        algorithms = [name for name in ALGORITHMS if name in listed]
        offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = next((name for name in _METHODS if name in offered), None)
        if metadata.get("issuer") != provider.issuer or not algorithms or method is None:
            raise SignInRefused(NOT_AVAILABLE, "metadata", provider=provider.name)
        super().__init__(
            FlaskIntegration(provider.name),
            provider.name,
            client_id=provider.client_id,
            client_secret=provider.client_secret(),
            client_kwargs={
                "scope": " ".join(provider.scopes),
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": method,
                "default_timeout": _TIMEOUT,
                "leeway": 0,  # an access token that lasts a minute is asked with at once
            },
        )
        self.server_metadata = {key: metadata[key] for key in _METADATA if key in metadata}
        self.server_metadata["id_token_signing_alg_values_supported"] = algorithms
        self.provider = provider
        self._trusted = trusted
        self._again = again

    def fetch_jwk_set(self, force: bool = False) -> dict[str, Any]:
        """The keys to verify with; ``force``: the token's is not among them."""
        if not force:
            return known_keys(self._trusted)
        newest = self._again()
        return known_keys(newest) if newest.version != self._trusted.version else newer_keys(newest)


def start(client: PinnedClient, redirect_uri: str, next_url: str, session: MutableMapping[str, Any]) -> str:
    """The address to send the browser to. State, nonce, verifier and ``next_url`` stay in the session."""
    asked = client.create_authorization_url(redirect_uri)
    state = asked.pop("state")
    client.framework.set_state_data(session, state, {"redirect_uri": redirect_uri, "next": next_url, **asked})
    address: str = asked["url"]
    return address


def finish(
    client: PinnedClient, arguments: Mapping[str, str], session: MutableMapping[str, Any]
) -> tuple[Identity, str]:
    """Who has come, and where they wanted to go. ``arguments`` are those of the address the provider sent them to.

    Raises:
        SignInRefused: this browser did not start it, the provider said no, or something failed a check.
    """
    name = client.provider.name
    begun = client.framework.get_state_data(session, arguments.get("state"))
    if begun is None:
        raise SignInRefused(NOT_STARTED_HERE, "state", provider=name)
    if arguments.get("iss", client.provider.issuer) != client.provider.issuer:  # RFC 9207
        client.framework.clear_state_data(session, arguments.get("state"))
        raise SignInRefused(NOT_PROVED, "iss", provider=name)
    claims = _claims(client, session, arguments)
    match = client.provider.match.claim
    identity = Identity(
        provider=name,
        subject=word(claims.get(client.provider.id_claim)),
        email=word(claims.get("email")),
        first_name=word(claims.get("given_name")),
        last_name=word(claims.get("family_name")),
        groups=words(claims.get(client.provider.groups_claim)),
        matched_by=word(claims.get(match)),
    )
    return identity, begun["next"]


def _claims(client: PinnedClient, session: MutableMapping[str, Any], arguments: Mapping[str, str]) -> dict[str, Any]:
    name = client.provider.name
    options = {
        "iss": {"essential": True, "values": [client.provider.issuer]},
        "aud": {"essential": True, "values": [client.client_id]},
    }
    try:
        token = client.authorize_access_token(claims_options=options, leeway=_LEEWAY)
        claims = token.get("userinfo")
        if not claims:
            raise SignInRefused(NOT_PROVED, "id_token_missing", provider=name)
        if client.provider.userinfo:
            more = client.userinfo()
            if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
                raise SignInRefused(NOT_PROVED, "userinfo_sub", provider=name)
            claims = {**more, **claims}
    except AuthlibBaseError as error:
        # What the provider answers is one of a list (RFC 6749, section 5.2); its description may say anything.
        raise SignInRefused(DECLINED, type(error).__name__, provider=name) from None
    except RequestException as error:
        raise SignInRefused(UNREACHABLE, type(error).__name__, provider=name) from None
    except InvalidKeyIdError:
        raise SignInRefused(KEY_UNKNOWN, "key_id", provider=name) from None
    except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SignInRefused(NOT_PROVED, type(error).__name__, provider=name) from None
    finally:
        client.framework.clear_state_data(session, arguments.get("state"))  # used once, whatever came of it
    return dict(claims)
