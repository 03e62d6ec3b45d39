"""# TigerConnect

Published call and shifts under TigerConnect's job tokens, every ten minutes, the whole window each time, so that whoever
is messaged by role is whoever the schedule says.

| | |
|---|---|
| **Partner** | TigerConnect, physician scheduling; contact: TigerConnect's implementation team |
| **Source** | published slots of today and the next 30 days (`window`), in each department's local days |
| **Output** | one shift per slot: job token, user, start, end; what lasts longer than 24 hours in parts of at most 24 |
| **Transport** | HTTPS as `settings.http` describes it, with login and password, into one group |
| **Schedule** | every ten minutes, everything in the window; a change that concerns it is sent within seconds |
| **Layout** | default-unconfirmed: TigerConnect publishes no interface for shifts; complete the profile with TigerConnect |

The connection has the login, the password and, as the extra `group_id`, the group. A person's TigerConnect ID stands in
the unique ID or a custom field (`personnel_id`). 30 days ahead are the most that TigerConnect recommends: a larger window
draws a warning.

**Switching it on overwrites**: for every mapped job token, what stands in TigerConnect within the window and does not
come from this schedule is removed, whoever typed it in. A dry run before that shows what would be overwritten and sends
nothing: trigger the Dag with `dry_run`. Jobs that are not mapped are never touched. The usual guards hold a run that
would take away too much.

**No duplicates**: each shift is put under a reference of its own, so that a repeated one replaces the first.

**If it fails**: what is in TigerConnect stays. *Refused*: check the login, the password and the group ID. *Unreachable*:
the next run tries again by itself. A shift is missing: `./callboard explain tigerconnect --slot ID`.

**If nobody acts**: messages to a role go to whoever held it before, or to nobody.
"""

from include.destinations.tigerconnect import TigerConnect
from include.integration import Integration, Rows, Slots
from include.pipeline import publish_dags
from include.transforms.tigerconnect import shifts

publish_dags(
    Integration(
        slug="tigerconnect",
        doc=__doc__,
        source=Slots(within="window"),
        transform=shifts,
        way=Rows(refresh="all", overwrites=True),
        destination=TigerConnect(),
        on_call=True,
        woken=True,
    )
)
