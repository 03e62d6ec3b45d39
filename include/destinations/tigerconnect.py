"""TigerConnect: shifts of one group, over HTTP as the mapping's profile describes it, by login and password.

The connection has, beside address, login and password, the extra ``group_id``: the group whose schedule is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from include.destinations.connection import ConnectionDetails
    from include.mappings.schema import FeedMapping
    from include.operations import RowSession


@dataclass(frozen=True, slots=True)
class TigerConnect:
    """One group's shifts (:class:`include.operations.RowDestination`); its sessions can be asked what it holds."""

    def session(self, connection: ConnectionDetails, mapping: FeedMapping) -> AbstractContextManager[RowSession]:
        """Sign in.

        A survey asks for the shifts of every job token that the mapping's table has, on whatever days.

        Raises:
            ConfigurationError: the connection lacks login, password or group ID.
        """
        from include.destinations.http_partner import http_session, key_prefix

        if not (connection.login and connection.password and connection.extra.get("group_id")):
            raise ConfigurationError(
                f"Connection {connection.name} lacks the login, the password or the extra group_id of TigerConnect.",
                next_step="complete the connection: TigerConnect gives all three",
            )
        settings = mapping.settings
        tokens = {row.job_token for row in mapping.table if not row.ignore and row.job_token is not None}
        rate = settings.rate.as_rate() if settings.rate else None
        return http_session(connection, settings.http, rate=rate, listed=tokens, prefix=key_prefix(mapping))
