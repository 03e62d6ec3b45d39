"""# Secure Messaging

Who is on call for which team, inside the clinical communication platform in which people write to them: pushed record by
record each time a mapped assignment is scheduled, changed or withdrawn on a published schedule. One feed for each
partner.

| | |
|---|---|
| **Partner** | PerfectServe, Spok, Amtelco 1Call, Baxter Voalte, Stryker Vocera or Epic Secure Chat; contact: the vendor's consultant |
| **Source** | published slots from yesterday to a year ahead (`window`), in each department's local days |
| **Output** | one entry per slot and target: target, person, role, start, end, priority, note; one assignment may go to many targets |
| **Transport** | the partner's API, as a background user; HTTPS as `settings.http` describes it, for Spok its own protocol over TCP |
| **Schedule** | every 15 minutes; a change that concerns the partner is with it within seconds |
| **Layout** | default-unconfirmed: five of the six publish no interface, and Spok's is known from public code only; complete the profile with the vendor's consultant |

The connection has the background user's login and password. Only assignments that the mapping gives a target are sent;
`role` and `priority` are the row's, else the call order counts. Placeholders are sent where they have an ID at the
partner. A person whose ID the partner does not know, or a target that it does not know, keeps only those entries back:
they are mailed to the administrators, and offered again after a quarter of an hour, then less and less often.

**No duplicates**: before an entry whose answer was lost is added again, the partner is asked for it by its key (`find`).
Where the partner's interface has no such question and does not drop repeated keys (`client_key`), an entry is added *at
least once*, so that it may stand there twice after a broken connection; `./callboard mappings check` warns of that.

**If it fails**: what is at the partner stays. *Refused*: check the background user's login, password and rights.
*Unreachable*: the next run tries again by itself. *Parked*: the partner asked for patience, and gets it. An entry is
missing: `./callboard explain FEED --slot ID`.

**If nobody acts**: messages go to whoever was on call before, or to nobody.
"""

from include.destinations.messaging.by_partner import SecureMessaging
from include.integration import Integration, Rows, Slots
from include.pipeline import publish_dags
from include.transforms.secure_messaging import messaging_records

publish_dags(
    Integration(
        slug="secure_messaging",
        doc=__doc__,
        source=Slots(within="window"),
        transform=messaging_records,
        way=Rows(),
        destination=SecureMessaging(),
        on_call=True,
        woken=True,
    )
)
