"""An OpenID provider that does one thing wrong: everything else about it is as it should be, keys and all.

``wrong`` is what the next sign-ins meet; :data:`WRONGS` says what each is. Without one, it lets carol in as a viewer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Claims = dict[str, Any]

CLIENT = "callboard"
SECRET = "secret-of-hostile"


def _now() -> int:
    return int(time.time())


def _changed(**values: Any) -> Callable[[Claims], Claims]:
    return lambda claims: {**claims, **values}


def _without(name: str) -> Callable[[Claims], Claims]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


#: What can be wrong with the claims of an ID token that is signed as it should be.
CLAIM_WRONGS: dict[str, Callable[[Claims], Claims]] = {
    "issuer of another": _changed(iss="https://other.example.org"),
    "no issuer": _without("iss"),
    "audience of another": _changed(aud="another-app"),
    "audience of another, authorized party us": _changed(aud="another-app", azp=CLIENT),
    "two audiences, authorized party another": _changed(aud=[CLIENT, "another-app"], azp="another-app"),
    "no audience": _without("aud"),
    "expired": lambda claims: {**claims, "exp": _now() - 600, "iat": _now() - 900},
    "no expiry": _without("exp"),
    "not valid yet": lambda claims: {**claims, "nbf": _now() + 3600},
    "issued in the future": lambda claims: {**claims, "iat": _now() + 3600},
    "no time of issue": _without("iat"),
    "another nonce": _changed(nonce="n-0S6_WzA2Mj"),
    "no nonce": _without("nonce"),
    "no subject": _without("sub"),
    "an empty subject": _changed(sub=""),
    "a subject that is a number": _changed(sub=4711),
    "a subject with a line break": _changed(sub="carol\nexample"),
    "another access token": _changed(at_hash="bm90IHRoaXMgb25l"),
}
#: What can be wrong with its signature.
SIGNATURE_WRONGS = (
    "signed by nobody",
    "no signature at all",
    "signed with the client's secret",
    "signed with the public key",
    "another key under the known name",
    "an unknown key",
    "a bit of the signature turned",
    "claims changed afterwards",
    "its own key in the header",
    "its own key's address in the header",
    "not a token",
)
#: What can be wrong with the rest.
OTHER_WRONGS = (
    "no ID token",
    "token endpoint fails",
    "token endpoint answers no JSON",
    "token endpoint answers a list",
    "token endpoint hangs up",
    "userinfo of another",
    "userinfo without a subject",
    "userinfo fails",
    "userinfo is no JSON",
    "issuer of another in the address",
)
WRONGS = (*CLAIM_WRONGS, *SIGNATURE_WRONGS, *OTHER_WRONGS)


class HostileProvider:
    """One provider; a test sets ``wrong``, ``claims`` (what differs) and ``userinfo`` (what differs there)."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.reset()
        self.key = self.new_key("k1")
        self._public: list[Any] = [self.key]
        self.key_requests = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._subject: Any = None  # of the last ID token

    def reset(self) -> None:
        """Do everything right again."""
        self.wrong: str | None = None
        self.claims: Claims = {}
        self.more: Claims = {}

    @staticmethod
    def new_key(kid: str) -> Any:
        """Make an RSA key."""
        from joserfc.jwk import RSAKey

        return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}, private=True)

    def publish(self, *keys: Any) -> None:
        """Publish exactly these keys from now on."""
        self._public = list(keys)

    def document(self) -> dict[str, Any]:
        """What the trust store keeps of it. It claims to use algorithms that it should not."""
        return {"metadata": self.metadata(), "jwks": self.jwks()}

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["none", "HS256", "RS256"],
            # Were these taken for options of our client, it would trust any certificate and be somebody else.
            "verify": False,
            "client_id": "somebody-else",
        }

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self._public]}

    def authorize(self, query: dict[str, str]) -> str:
        """The address to send the browser back to."""
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self._codes[code] = query
        more = {"iss": "https://other.example.org"} if self.wrong == "issuer of another in the address" else {}
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], **more})}"

    def token(self, form: dict[str, str]) -> tuple[int, Any]:
        """Exchange a code; the verifier must be the challenge's, as RFC 7636 says."""
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or challenge.decode().rstrip("=") != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if self.wrong == "token endpoint fails":
            return 500, {}
        if self.wrong == "token endpoint answers no JSON":
            return 200, "<html>welcome</html>"
        if self.wrong == "token endpoint answers a list":
            return 200, ["access_token"]
        answer = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60}
        if self.wrong != "no ID token":
            answer["id_token"] = self._id_token(asked["nonce"])
        return 200, answer

    def userinfo(self) -> tuple[int, Any]:
        if self.wrong == "userinfo fails":
            return 500, {}
        if self.wrong == "userinfo is no JSON":
            return 200, "carol"
        answer = {"sub": self._subject, "groups": ["sched-viewers"], **self.more}
        if self.wrong == "userinfo of another":
            answer["sub"] = "alice"
        if self.wrong == "userinfo without a subject":
            del answer["sub"]
        return 200, answer

    def _id_token(self, nonce: str) -> str:
        from joserfc import jwt
        from joserfc.jws import JWSRegistry

        claims: Claims = {
            "iss": self.issuer, "sub": "carol", "aud": CLIENT, "iat": _now(), "exp": _now() + 300, "nonce": nonce,
            "email": "carol@hostile.example.org", "given_name": "Carol", "family_name": "Example", **self.claims,
        }  # fmt: skip
        if self.wrong in CLAIM_WRONGS:
            claims = CLAIM_WRONGS[self.wrong](claims)
        self._subject = claims.get("sub")
        header: dict[str, Any] = {"alg": "RS256", "kid": self.key.kid}
        key: Any = self.key
        if self.wrong in ("signed by nobody", "no signature at all"):
            head = {"alg": "none"} if self.wrong == "signed by nobody" else header
            return f"{_encoded(head)}.{_encoded(claims)}."
        if self.wrong in ("signed with the client's secret", "signed with the public key"):
            secret = SECRET.encode() if "client" in self.wrong else self.key.as_pem(private=False)
            text = f"{_encoded(header | {'alg': 'HS256'})}.{_encoded(claims)}"
            return f"{text}.{_base64(hmac.digest(secret, text.encode(), 'sha256'))}"
        if self.wrong == "another key under the known name":
            key = self.new_key(self.key.kid)
        elif self.wrong == "an unknown key":
            key = self.new_key("k666")
            header["kid"] = "k666"
        elif self.wrong == "its own key in the header":
            key = self.new_key(self.key.kid)
            header["jwk"] = key.as_dict(private=False)
        elif self.wrong == "its own key's address in the header":
            key = self.new_key(self.key.kid)
            header["jku"] = f"{self.issuer}/jwks"
        elif self.wrong == "not a token":
            return "not.a.token"
        registry = JWSRegistry(algorithms=["RS256"], strict_check_header=False)
        token = jwt.encode(header, claims, key, registry=registry)
        head, body, signature = token.split(".")
        if self.wrong == "a bit of the signature turned":
            signature = ("B" if signature[0] == "A" else "A") + signature[1:]
        if self.wrong == "claims changed afterwards":
            body = _encoded({**claims, "sub": "alice"})
        return f"{head}.{body}.{signature}"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[HostileProvider]:
        """Serve one."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(address.query).items()}
                if address.path == "/authorize":
                    self.send_response(303)
                    self.send_header("Location", provider.authorize(query))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif address.path == "/userinfo":
                    self._answer(*provider.userinfo())
                elif address.path == "/jwks":
                    provider.key_requests += 1
                    self._keys()
                else:
                    self._answer(404, {})

            def _keys(self) -> None:
                if provider.wrong == "jwks elsewhere":
                    self.send_response(302)
                    self.send_header("Location", "http://127.0.0.1:9/jwks")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                wrong = {"jwks is no JSON": (200, "{"), "jwks is a list": (200, [1]), "jwks fails": (500, {})}
                self._answer(*wrong.get(provider.wrong or "", (200, provider.jwks())))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if provider.wrong == "token endpoint hangs up":
                    self.close_connection = True
                    return
                self._answer(*provider.token({name: values[0] for name, values in parse_qs(body).items()}))

            def _answer(self, status: int, content: Any) -> None:
                body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        provider = cls(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _encoded(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
