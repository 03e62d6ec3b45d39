"""# Schedule Backup

Who works where, today and on the next three days: a workbook for people whose network or schedule is down, and a CSV
from which a schedule can be mended.

| | |
|---|---|
| **Partner** | the hospital's own downtime folder; contact: the customer's IT |
| **Source** | published slots of today and the next three days (`window`), in each facility's local days; open shifts too |
| **Output** | `schedule_backup.xlsx`: who is on now, then one sheet per department; `schedules.csv`: the same slots |
| **Transport** | SFTP, uploaded under temporary names and renamed over the last files |
| **Schedule** | every five minutes; any interval |
| **Layout** | community-observed: the exchange file of the schedule store, and a workbook for people; both are ours |

`./callboard import DIR --merge`, with a folder that holds the CSV, adds and updates its slots in a store and removes none.
The workbook says in its first line as of when it is. Everything in it is text, so that no cell is computed; each sheet
prints on the width of one page. Slots whose swap waits for approval are left out, as everywhere.

Nothing holds a backup but the lack of any slot: then the last good files stay. While the platform runs they are never
older than ten minutes; the watch says so if they are.

**If it fails**: the last good files stay where they are, and say how old they are. *Partner unreachable*: the next run tries
again by itself. *Refused*: check the connection's user, key and folder. *Held*: no slot is published for these days; publish
them. A slot is missing: `./callboard explain schedule_backup --slot ID`.

**If nobody acts**: in an outage people find an old schedule, or none, and page whoever was on call then.
"""

from include.integration import Companion, Integration, Sftp, Slots, Snapshot
from include.pipeline import publish_dags
from include.render.backup_workbook import write_workbook
from include.transforms.schedule_backup import backed_up_slots

publish_dags(
    Integration(
        slug="schedule_backup",
        doc=__doc__,
        source=Slots(within="window"),
        transform=backed_up_slots,
        way=Snapshot(),
        destination=Sftp(companion=Companion(name_setting="workbook_name", render=write_workbook)),
    )
)
