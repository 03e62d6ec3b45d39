"""# Enterprise Data Warehouse Files

Everything in the schedule store as one zip of CSV files, for a hospital's data warehouse, Power BI, Tableau or Quinsite.

| | |
|---|---|
| **Partner** | the hospital's own data warehouse; contact: the reporting team, and whoever runs the SFTP server |
| **Source** | all tables, drafts and history included, as they are at one moment |
| **Output** | one zip: schedules, personnel, requests, change logs, assignments, view settings and what they refer to |
| **Transport** | SFTP, uploaded under a temporary name and renamed; a later zip of the same day replaces the earlier one |
| **Schedule** | daily; any recurrence |
| **Layout** | community-observed: the catalog names the files, the columns are ours and only ever added to |

`manifest.json` in the zip says as of when it is, and has the rows and the SHA-256 of each file: check them before you
load. `datapackage.json` describes every column, as docs/data-dictionary.md does. IDs are text: leading zeros belong to
them (docs/warehouse.md shows how to load the zip without losing them). Times ending in `_utc` are UTC, those ending in
`_local` are the wall clock of the slot's department. The zip holds what people wrote about themselves and others
(notes, phone numbers, requests): whoever can read it needs the same permission as for the schedule itself.

**If it fails**: the last zip stays where it is. *Partner unreachable*: the next run tries again by itself. *Refused*:
check the connection's user, key and folder. *The tables are not whole*: a reference in the store leads nowhere, the
message names the file. *Held*: a table has far fewer rows than in the last zip; look why before you approve.

**If nobody acts**: reports show the schedule of the day of the last zip. Nobody is paged or paid by it.
"""

from include.integration import Integration, Sftp, Snapshot, Tables
from include.pipeline import publish_dags

publish_dags(
    Integration(
        slug="enterprise_data_warehouse",
        doc=__doc__,
        source=Tables(),
        transform=None,
        way=Snapshot(),
        destination=Sftp(),
    )
)
