"""# Epic OpTime

Who works in the operating rooms, as a CSV file that Epic imports on a cadence, so that the snapboard shows which staff
each day's surgeries can count on.

| | |
|---|---|
| **Partner** | Epic, OpTime module; contact: the customer's Epic analyst |
| **Source** | published slots from today to 30 days ahead (`window`), in each facility's local days |
| **Output** | one CSV, the whole window every time: provider, import group, resource type, role, start and end with their zone |
| **Transport** | SFTP, uploaded under a temporary name and renamed over the last file |
| **Schedule** | hourly; a run that finds nothing new still sends, since receivers watch the file's age |
| **Layout** | default-unconfirmed: no public specification exists; confirm it with the customer's Epic analyst |

Start and end are the department's local times. Where operating rooms lie in another zone, `timezone` in the assignment
table says which: times are then told on that zone's clock, with the dates that it shows. Open shifts are not people and
are left out.

**If it fails**: the last good file stays where it is. *Partner unreachable*: the next run tries again by itself.
*Refused*: check the connection's user, key and folder. *Mapping is wrong*: `./callboard mappings check`.
A provider is missing: `./callboard explain epic_optime --slot ID`.

**If nobody acts**: the snapboard shows staff as they were planned before. Surgeries are booked with people who are not
there, or rooms stay empty although somebody is.
"""

from include.integration import Integration, Sftp, Slots, Snapshot
from include.pipeline import publish_dags
from include.transforms.epic_optime import staff_shifts

publish_dags(
    Integration(
        slug="epic_optime",
        doc=__doc__,
        source=Slots(within="window"),
        transform=staff_shifts,
        way=Snapshot(),
        destination=Sftp(),
    )
)
