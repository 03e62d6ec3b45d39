"""# New Innovations Duty Hours

Residents' duties for the Duty Hours module: the first file holds all that are published, every later one only what was
added, changed or withdrawn since the last file that was delivered.

| | |
|---|---|
| **Partner** | New Innovations, Duty Hours module; contact: the customer's graduate medical education office |
| **Source** | all published slots, without limit in time |
| **Output** | CSV: person, duty hour name, assignment name, local start and end, location, notes, and what to do with the row |
| **Transport** | SFTP; every file has a name of its own with a sequence number |
| **Schedule** | daily; no file when nothing changed |
| **Layout** | default-unconfirmed: no public specification exists; ask New Innovations above all how a delete is told |

The catalog knows no column that tells an added row from a withdrawn one. Ours is `Action` (A, C, D); `settings` say
other words, put deletes into a file of their own, or leave them out. A corrected ID is a delete under the old and an
add under the new one. Placeholders have no duty hours and are left out.

**If it fails**: nothing is lost, the next run sends what is still missing. *Another file of that name*: compare the two,
move the other away, run again. To start over with the partner: `./callboard rebaseline new_innovations`.
A duty is missing: `./callboard explain new_innovations --slot ID`.

**If nobody acts**: residents enter these duties by hand, or duty hours are judged by a schedule that was changed since.
"""

from include.integration import Changes, Integration, Sftp, Slots
from include.pipeline import publish_dags
from include.transforms.new_innovations import duty_hours

publish_dags(
    Integration(
        slug="new_innovations",
        doc=__doc__,
        source=Slots(within="published"),
        transform=duty_hours,
        way=Changes(),
        destination=Sftp(),
    )
)
