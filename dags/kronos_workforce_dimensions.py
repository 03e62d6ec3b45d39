"""# Kronos Workforce Dimensions

Scheduled shifts for payroll: on the first day of a pay period all of them, then only what was added, changed or withdrawn
since the last file that was delivered.

| | |
|---|---|
| **Partner** | UKG (Kronos) Workforce Dimensions; contact: the customer's Kronos representative |
| **Source** | published slots of the pay period that holds today, by their schedule date |
| **Output** | CSV: person, shift, segment type, transfers, pay code edit, comment, and what to do with the row |
| **Transport** | SFTP; every file has a name of its own with a sequence number |
| **Schedule** | daily; no file when nothing changed |
| **Layout** | default-unconfirmed: the catalog's fields are UKG's Universal Schedules Import, its headers are per customer |

The difference is taken from what Kronos is known to hold, never from what was last computed: a file that did not arrive
is contained in the next one. A corrected person number is a delete under the old and an add under the new one.

**If it fails**: nothing is lost, the next run sends what is still missing. *Another file of that name*: compare the two,
move the other away, run again. To start over with the partner: `./callboard rebaseline kronos_workforce_dimensions`.
A shift is missing: `./callboard explain kronos_workforce_dimensions --slot ID`.

**If nobody acts**: these hours are missing in payroll, or are paid as they stood before. After the pay period has closed
they must be corrected by hand.
"""

from include.integration import Changes, Integration, Sftp, Slots
from include.pipeline import publish_dags
from include.transforms.kronos_workforce_dimensions import scheduled_shifts

publish_dags(
    Integration(
        slug="kronos_workforce_dimensions",
        doc=__doc__,
        source=Slots(within="pay_period"),
        transform=scheduled_shifts,
        way=Changes(per_epoch=True),
        destination=Sftp(),
    )
)
