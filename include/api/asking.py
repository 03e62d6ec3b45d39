"""What a request to the token endpoint says, read as RFC 6749 wants it and no looser. Pure.

Forms only; nothing in the query, where it would be logged; no parameter twice; one way of giving credentials. What is
sent empty counts as left out.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORM = "application/x-www-form-urlencoded"
#: The largest body that is read, in bytes; the longest sensible one names some hundred departments.
LARGEST = 64 * 1024
_FIELDS = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: values of its headers, its query, its body (``None``: too large), its address."""

    content_types: Sequence[str]
    authorizations: Sequence[str] = field(repr=False)
    query: bytes = field(repr=False)
    body: bytes | None = field(repr=False)
    address: str


def form_of(asked: Asked) -> dict[str, str]:
    """The form's parameters, those without a value left out.

    Raises:
        InvalidRequestError: it is no proper form, or something stands in the query.
    """
    if asked.query:
        raise InvalidRequestError("Parameters belong into the body, none into the query.")
    kinds = [kind.partition(";")[0].strip().lower() for kind in asked.content_types]
    if kinds != [_FORM]:
        raise InvalidRequestError(f"The body must be {_FORM}.")
    if asked.body is None:
        raise InvalidRequestError("The body is too large.")
    try:
        pairs = parse_qsl(
            asked.body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(asked.body),
            errors="strict",
            max_num_fields=_FIELDS,
        )
    except ValueError:
        raise InvalidRequestError("The body is not a form in UTF-8.") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise InvalidRequestError("A parameter is given more than once.")
    return {name: value for name, value in form.items() if value}


def credentials(asked: Asked, form: dict[str, str]) -> tuple[str, str]:
    """The client id and the secret that a request gives, in either way (client_secret_basic, client_secret_post).

    Raises:
        InvalidClientError: it gives none, or none that can be read.
        InvalidRequestError: it gives them in more than one way.
    """
    if not asked.authorizations:
        if "client_id" not in form or "client_secret" not in form:
            raise InvalidClientError
        return form["client_id"], form["client_secret"]
    if len(asked.authorizations) > 1 or "client_secret" in form:
        raise InvalidRequestError("Credentials are given more than once.")
    found = _basic(asked.authorizations[0])
    if found is None:
        raise InvalidClientError
    if form.get("client_id", found[0]) != found[0]:
        raise InvalidRequestError("Two clients are named.")
    return found


def claimed_client(asked: Asked) -> str:
    """The client id that a request gives, true or not; empty where none can be read."""
    for authorization in asked.authorizations:
        found = _basic(authorization)
        return found[0] if found else ""
    try:
        return form_of(asked).get("client_id", "")
    except InvalidRequestError:
        return ""


def _basic(authorization: str) -> tuple[str, str] | None:
    """Read RFC 7617's header; id and secret are form-encoded in it (RFC 6749, section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        client_id, secret = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:  # neither base64 nor UTF-8
        return None
    return (client_id, secret) if colon and client_id and secret else None
