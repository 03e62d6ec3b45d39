"""# Outlook

Everybody's published duties as events in their own Outlook calendars, through Microsoft Graph, as soon as a schedule is
published, changed or withdrawn.

| | |
|---|---|
| **Partner** | Microsoft 365, Graph calendars; contact: the customer's Microsoft 365 administrator |
| **Source** | all published slots, without limit in time |
| **Output** | one event per slot in its holder's calendar: subject, text, start, end, free or busy; no reminder, nobody invited |
| **Transport** | `$batch` requests of up to 20 operations, as an application (client credentials) |
| **Schedule** | every 15 minutes; a change that concerns a calendar is in it within seconds |
| **Layout** | vendor-documented: learn.microsoft.com/graph/api/resources/event |

The connection (type `msgraph`) has the application's ID, its secret or certificate, and the tenant. The application
needs the permission `Calendars.ReadWrite`, which reaches **every** mailbox of the tenant: limit it to the people concerned
with RBAC for Applications (docs/runbooks/outlook.md).

Who has no Microsoft ID has opted out, whatever they are scheduled for; which assignments are sent is the mapping's to say.
If the ID is removed or changed, our events leave the old calendar. Only events that carry our mark are ever touched:
whatever people enter themselves, or copy, stays as it is. An event that somebody edits or deletes in Outlook is mended by
`./callboard reconcile outlook`, or when its slot changes.

**No duplicates**: each creation carries a `transactionId` of its own, and each event its slot's key as a hidden property.
When an answer is lost, the mailbox is asked for that key before anything is created again.

**If it fails**: what is in the calendars stays. *Refused*: the secret may have expired, or the permission was withdrawn.
*Unreachable*: the next run tries again by itself. An event is missing: `./callboard explain outlook --slot ID`.

**If nobody acts**: calendars show yesterday's schedule; meetings are put into on-call hours, and people look elsewhere.
"""

from include.destinations.graph import GraphCalendars
from include.integration import Integration, Rows, Slots
from include.pipeline import publish_dags
from include.transforms.outlook import calendar_events

publish_dags(
    Integration(
        slug="outlook",
        doc=__doc__,
        source=Slots(within="published"),
        transform=calendar_events,
        way=Rows(),
        destination=GraphCalendars(),
        woken=True,
    )
)
