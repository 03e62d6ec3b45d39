"""# Workday

Scheduled time blocks and time off for Workday: which worker, in which position, under which code, and when. Workday pulls
them from two endpoints of the Lightning Bolt API as often as it likes; or it gets them as two files a day.

| | |
|---|---|
| **Partner** | Workday, Time Tracking and Absence; contact: the customer's Workday administrator |
| **Source** | published slots from 31 days ago to 366 days ahead (`window`), in each facility's local days |
| **Output** | two CSV, the whole window every time: time blocks (one per slot) and time off (one per slot and day); the endpoints have the same records, as JSON or CSV, with what was deleted since the last pull |
| **Transport** | endpoints: `/v1/workday/time-blocks`, `/v1/workday/time-offs` (scope `workday`, docs/api.md). Files: SFTP, uploaded under temporary names and renamed over the last ones |
| **Schedule** | files daily; the endpoints have what is published at once |
| **Layout** | default-unconfirmed: column names follow Workday's web services; what a tenant imports is the customer's to say |

The assignment table says whether a slot is a time block or time off, and under which code. The position comes from
`<feed>.positions.csv`; of the rows that fit, the most specific wins: person before assignment before department. Every
record has an ID of its own that never changes for the same worker, slot and day. Times carry their offset; quantities are
elapsed hours, so that a night on which clocks fall back has one more.

One transform makes files and endpoints, under this mapping. What leaves the window behind it is no longer told, and is not
deleted: hours that were worked stay in Workday.

**If it fails**: the last good files stay where they are, the next run sends the whole window again. *position_missing*: add
a row to the positions table. *Mapping is wrong*: `./callboard mappings check`. A slot is missing:
`./callboard explain workday --slot ID`. While the mapping is wrong, the endpoints answer 503 and say what is wrong with it.

**If nobody acts**: hours and days off are missing in Workday, or stand as they were planned before.
"""

from include.integration import Integration, Sftp, Slots, Snapshot
from include.pipeline import publish_dags
from include.transforms.workday import time_entries

publish_dags(
    Integration(
        slug="workday",
        doc=__doc__,
        source=Slots(within="window"),
        transform=time_entries,
        way=Snapshot(),
        destination=Sftp(),
    )
)
