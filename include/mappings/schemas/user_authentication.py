"""User authentication: what identity providers say of themselves, as the sign-in may believe it.

Who the providers are, what their groups may do and how people are found says the file that ``CALLBOARD_SIGN_IN`` names
(docs/runbooks/user-authentication.md): the sign-in page needs it too, and no feed has it to itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.mappings.schema import MappingSchema, RecordField

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.mappings.schema import FeedMapping, KeyPath

RECORD = {
    "provider": RecordField("text", "the identity provider's name in the sign-in settings"),
    "protocol": RecordField("text", "oidc or saml"),
    "document": RecordField("text", "what is trusted, as JSON: addresses, algorithms, keys or certificates"),
}


def _check(mapping: FeedMapping) -> Iterator[tuple[KeyPath, str]]:
    if mapping.environment != "production":
        yield ("environment",), "'environment' must be production: there is one sign-in, and one trust store"


SCHEMA = MappingSchema(
    slug="user_authentication",
    record=RECORD,
    key=("provider",),
    layout=None,
    schedule="35 * * * *",
    # OpenID Connect Discovery 1.0 and SAML 2.0 Metadata say what is read.
    status="vendor-documented",
    table=None,
    delivers_slots=False,
    delivers_people=False,
    fills="trust store, used at sign-in",
    check=_check,
)
