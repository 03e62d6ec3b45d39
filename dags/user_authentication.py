"""# User Authentication (Single Sign-On)

People sign in to Airflow and to Callboard's pages with their organisation's identity provider: OAuth 2.0 with OpenID
Connect, or SAML 2.0. This Dag keeps what is trusted of the providers fresh.

| | |
|---|---|
| **Partner** | the hospital's identity providers, such as Azure Entra, Okta or Ping; contact: the identity team |
| **Source** | discovery documents and their key sets, SAML metadata; and who has signed in so far |
| **Output** | addresses, algorithms, keys and certificates to be trusted, in versions; every change is a new one |
| **Transport** | tables of our own, filled in one transaction; the sign-in reads them, a new version within 30 seconds |
| **Schedule** | hourly, at 35 minutes past |
| **Layout** | vendor-documented: OpenID Connect Discovery 1.0 and SAML 2.0 Metadata |

Who the providers are, which of their groups have which roles, and who is of the platform's own staff says the file that
`CALLBOARD_SIGN_IN` names (docs/runbooks/user-authentication.md). Without it there is no provider, the local account of the
installation signs in, and every run is `unchanged`. A row is a provider, or somebody who has signed in.

A provider is trusted if its issuer is, letter by letter, the configured one, its addresses are `https`, it signs by an
asymmetric algorithm, and has a key or certificate that is strong enough and has not ended. What is not, changes nothing:
the version before stays in force. A new key is trusted beside the old one, so that a rollover interrupts nobody. Whoever
signs in should be one active person of the schedule, or on the staff list; each group of the role map should be known,
each role exist and be within somebody's reach. What is found is told by mail, and keeps nobody from signing in.

**If it fails**: the sign-in goes on with what was trusted before. *Partner unreachable*: a provider did not answer; the
others were refreshed, and the next run asks again. *Rejected*: the mail says what is wrong with a provider's document, or
whose account is nobody's. *Reported*: a certificate ends within 30 days, or the role map leads to nothing; the mail comes
daily until that is mended. *Configuration*: the file with the sign-in settings is wrong, the message has the line.

**If nobody acts**: when a provider signs with a key that was never read, or its last certificate ends, nobody can sign in
with it any more; the break-glass account still can. Accounts of people who have left go on working as long as their
provider lets them in.
"""

from include.integration import IdentityProviders, Integration, OurTables, Snapshot
from include.ledger.trust_store import fill_trust
from include.pipeline import publish_dags
from include.transforms.user_authentication import trusted_providers

publish_dags(
    Integration(
        slug="user_authentication",
        doc=__doc__,
        source=IdentityProviders(),
        transform=trusted_providers,
        way=Snapshot(),
        destination=OurTables(fill=fill_trust),
    )
)
