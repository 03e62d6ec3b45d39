"""# Lightning Bolt API

Schedules, requests, assignments, personnel and tallies for a hospital's own programs, which pull what they need, when
they need it.

| | |
|---|---|
| **Partner** | whoever has credentials of the API; contact: the customer's integration team |
| **Source** | all published slots, and the tallies of the schedule store; the API itself reads the store at each request |
| **Output** | tallies per person, period and department, in slots, hours and work units |
| **Transport** | tables of our own, replaced in one transaction; the API serves them over HTTP (docs/api.md) |
| **Schedule** | hourly, at 25 minutes past |
| **Layout** | default-unconfirmed: names and shapes are ours (docs/api.md), and only ever added to |

The run works the tallies out slot by slot, swaps them in, and then calls the API as a client: it must serve as many rows,
slot for slot, as were worked out. Open shifts, pending swaps and placeholders are nobody's work and count nowhere.
Everything else that the API serves is there as soon as it is published, whether this Dag runs or not.

`./callboard clients add NAME` gives credentials; `docs/runbooks/api.md` says what to do when somebody cannot get in.

**If it fails**: the last tallies stay, and the API says as of when they are. *The API did not answer*: look at the API
server; the next run checks again. *It serves something else*: report it. *Held*: more than half of what was counted
would be gone; look which period was unpublished.

**If nobody acts**: tallies in reports are as old as the API says. Nobody is paged or paid by them.
"""

from include.destinations.api_reader import check_tallies
from include.integration import Integration, OurTables, Slots, Snapshot
from include.ledger.tallies import fill_tallies
from include.pipeline import publish_dags
from include.transforms.lightning_bolt_api import counted_slots

publish_dags(
    Integration(
        slug="lightning_bolt_api",
        doc=__doc__,
        source=Slots(within="published", tallies=True),
        transform=counted_slots,
        way=Snapshot(),
        destination=OurTables(fill=fill_tallies, check=check_tallies),
    )
)
