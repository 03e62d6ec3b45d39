"""# Demographic Import

Who people are and how they are reached, from the hospital's own source of truth into the schedule store.

| | |
|---|---|
| **Partner** | the hospital's source of truth for people; contact: whoever makes the demographic file |
| **Source** | a CSV, or a zip with one, that somebody puts into the folder `inbound` on the SFTP server |
| **Output** | the fields of matching people in the schedule store; a report of every row and of everybody who is missing |
| **Transport** | SFTP: from `inbound` into `archive` by a rename; the report into `outbound`, and by mail |
| **Schedule** | every ten minutes, for a file that comes once a day; any interval |
| **Layout** | default-unconfirmed: the customer's own; the mapping says which column is which field |

A row finds its person by its key (`settings.key`); nobody is created, nobody is removed, and no other field is touched. An
empty cell leaves a value alone; only the word that `settings.clear` names takes one away. A file is taken when its size
has not changed between two looks, or when a file `<name>.done` lies beside it; one in each run, the oldest first. The
same file twice changes nothing. Two people never get the same ID: the rows that would lead to that are refused.

A row that is refused, or finds nobody, changes nothing and stands in the report with its line; the report holds no values,
but for keys. What a file changes happens in one transaction with the record of it, or not at all.

**If it fails**: before a file is taken over, nobody's fields have changed; after it, the next run sends the report and puts
the file away. *The file that came in cannot be taken*: it lies in `archive` with `.refused` behind its name; the mail says
line by line what is wrong. *Held*: too many people would change; look at `./callboard approve demographic_import --show`,
then approve, or put a better file in its place. *Partner unreachable*: the next run tries again by itself. A person was not
updated: `./callboard explain demographic_import --person EMP_ID --date TODAY`.

**If nobody acts**: people keep the phone numbers and IDs that they had; pages go to old numbers, and feeds that go by a new
ID leave its person out.
"""

from include.integration import Inbound, Integration, Personnel, Rows
from include.pipeline import publish_dags
from include.transforms.demographic_import import demographic_changes

publish_dags(
    Integration(
        slug="demographic_import",
        doc=__doc__,
        source=Inbound(),
        transform=demographic_changes,
        way=Rows(),
        destination=Personnel(),
    )
)
