"""Secure messaging's partners: Spok has a protocol of its own, the others are asked over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from include.destinations.connection import ConnectionDetails
    from include.mappings.schema import FeedMapping
    from include.operations import RowSession


@dataclass(frozen=True, slots=True)
class SecureMessaging:
    """Whichever partner the feed's mapping names (:class:`include.operations.RowDestination`)."""

    def session(self, connection: ConnectionDetails, mapping: FeedMapping) -> AbstractContextManager[RowSession]:
        """Sign in as the background user.

        Raises (on entering):
            ConfigurationError: the connection lacks something.
            DeliveryRefused: the credentials are refused.
            DestinationUnavailable: nobody answers.
        """
        settings = mapping.settings
        if settings.partner == "spok":
            from include.destinations.messaging.spok import spok_session

            return spok_session(connection, mapping)
        from include.destinations.http_partner import http_session, key_prefix

        rate = settings.rate.as_rate() if settings.rate else None
        return http_session(connection, settings.http, rate=rate, prefix=key_prefix(mapping))
