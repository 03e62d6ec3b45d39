"""# Epic On Call Finder

On-call assignments as a CSV file that Epic imports every five minutes, so that operators and clinicians find who is on
call, and how to reach them, inside Epic.

| | |
|---|---|
| **Partner** | Epic, On Call Finder module; contact: the customer's Epic analyst |
| **Source** | published slots from yesterday to two weeks ahead (`window`), in each facility's local days |
| **Output** | one CSV, the whole window every time: team, provider, role, local start and end, call order, notes, team comment |
| **Transport** | SFTP, uploaded under a temporary name and renamed over the last file |
| **Schedule** | every five minutes; a run that finds nothing new still sends, since receivers watch the file's age. A change that concerns the file is in it within seconds |
| **Layout** | default-unconfirmed: no public specification exists; confirm it with the customer's Epic analyst |

Placeholders are delivered with their contact information in the notes: that is their purpose. Open shifts are not people
and are left out. Slot notes follow the note prefix on one line, so an emergency change of contact is in the file within
seconds, and in Epic as soon as it imports the file.

**If it fails**: the last good file stays where it is. *Partner unreachable*: the next run tries again by itself.
*Refused*: check the connection's user, key and folder. *Mapping is wrong*: `./callboard mappings check`.
A provider is missing: `./callboard explain epic_on_call_finder --slot ID`.

**If nobody acts**: whoever looks in Epic does not find these people, or still finds who was on call before. In an
emergency the wrong person is paged, or nobody.
"""

from include.integration import Integration, Sftp, Slots, Snapshot
from include.pipeline import publish_dags
from include.transforms.epic_on_call_finder import on_call_records

publish_dags(
    Integration(
        slug="epic_on_call_finder",
        doc=__doc__,
        source=Slots(within="window"),
        transform=on_call_records,
        way=Snapshot(),
        destination=Sftp(),
        on_call=True,
        woken=True,
    )
)
