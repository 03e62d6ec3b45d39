"""# Kronos Workforce Central

The hours of the pay period for payroll: every day one file with all of them, so that a correction needs nothing but the
next file.

| | |
|---|---|
| **Partner** | UKG (Kronos) Workforce Central; contact: the customer's Kronos representative |
| **Source** | published slots of the pay period that holds today, by their schedule date; pay groups may have their own |
| **Output** | one CSV, the whole period every time: person, shift, hours, pay code, department, company IDs |
| **Transport** | SFTP, uploaded under a temporary name and renamed over a file of the same day |
| **Schedule** | daily, on every day of the pay period |
| **Layout** | default-unconfirmed: a Kronos representative builds the import, so the layout is per customer |

Who is paid for what stands in the matrix (`<feed>.matrix.csv`): pairs of personnel type and assignment type. The pay
code follows from company IDs (COID): home code where the department's is the person's home COID, away code where it is
the away COID; any other is rejected, and all three are named. Hours are elapsed hours: a night on which clocks fall back
has one more.

A department's schedule periods must be the pay periods. Where they are not, its slots are rejected, department by
department, and nobody else's; `misaligned_periods: report` pays them and reports all the same.

**If it fails**: nothing is lost, the next file holds the whole period again. *A department is reported*: set the dates of
its schedule period to those of the pay period, or correct `pay_periods`. *Mapping is wrong*: `./callboard mappings check`.
A shift is missing: `./callboard explain kronos_workforce_central --slot ID`.

**If nobody acts**: hours are missing in payroll. After the pay period has closed they must be corrected by hand.
"""

from include.integration import Integration, Sftp, Slots, Snapshot
from include.pipeline import publish_dags
from include.transforms.kronos_workforce_central import paid_shifts

publish_dags(
    Integration(
        slug="kronos_workforce_central",
        doc=__doc__,
        source=Slots(within="pay_period"),
        transform=paid_shifts,
        way=Snapshot(),
        destination=Sftp(),
    )
)
