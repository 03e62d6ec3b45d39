"""Who has signed in, and how many of the schedule's people carry what their provider says of them; at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.effects import effect
from include.sources.moment import one_moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_COLUMNS = ("account", "provider", "field", "value", "groups", "people", "active_people")
#: Mail addresses are the same in capitals; IDs are not. Placeholders are nobody.
_QUERY = """
    WITH account AS (
        SELECT username, provider, wanted.field, matched_by, groups,
            CASE WHEN wanted.field = 'email' THEN lower(matched_by) ELSE matched_by END AS looked_for
        FROM sign_in_account
        LEFT JOIN unnest(%(providers)s::text[], %(fields)s::text[]) AS wanted (name, field) ON wanted.name = provider
    ),
    carrier AS ({carriers})
    SELECT username, provider, account.field, matched_by, groups, count(carrier.emp_id),
        count(carrier.emp_id) FILTER (WHERE carrier.active)
    FROM account LEFT JOIN carrier ON carrier.field = account.field AND carrier.value = looked_for
    GROUP BY username, provider, account.field, matched_by, groups ORDER BY username COLLATE "C"
"""
_CARRIERS = """
    SELECT '{field}' AS field, {value} AS value, emp_id, active FROM schedule.personnel
    WHERE {field} IS NOT NULL AND NOT is_placeholder
"""


def read_accounts(dsn: str, matches: Mapping[str, str]) -> pd.DataFrame:
    """Everybody who has signed in, by user name. ``matches``: each provider's field of personnel.

    ``dsn`` is the ledger's, which may read the schedule.

    ``account``, ``provider``, ``field`` (null: the provider is not in the settings any more), ``value`` (of the matched
    claim; null: none), ``groups`` (a list), ``people`` and ``active_people`` (who carry the value).

    Raises:
        SourceNotReady: the database could not be read.
    """
    import pandas as pd

    # The fields are those of the settings' model, a closed set of column names.
    carriers = " UNION ALL ".join(
        _CARRIERS.format(field=field, value="lower(email)" if field == "email" else field)
        for field in sorted({*matches.values(), "email"})
    )
    values = {"providers": list(matches), "fields": list(matches.values())}
    with one_moment(dsn) as cursor, effect("sources.accounts"):
        cursor.execute(_QUERY.format(carriers=carriers), values)
        rows = cursor.fetchall()
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.astype(
        {
            "account": "str",
            "provider": "str",
            "field": "str",
            "value": "str",
            "people": "int64",
            "active_people": "int64",
        }
    )
