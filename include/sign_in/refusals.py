"""Why nobody was let in: a closed set of reasons, each with what the page says and with what is logged."""

from __future__ import annotations

from dataclasses import dataclass

from include.errors import CallboardError


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """``name`` is what is logged; ``status`` the page's HTTP status; the rest is told to the person at the browser."""

    name: str
    status: int
    told: str
    what_next: str


_AGAIN = "Sign in again from the beginning."
_LATER = "Try again in a few minutes. If it stays so, tell the administrators."
_ASK = "Ask the administrators, and tell them the user name above."

UNKNOWN_PROVIDER = RefusalReason(
    "unknown_provider", 404, "There is no such sign-in.", "Choose one of the sign-in page."
)
NOT_AVAILABLE = RefusalReason("not_available", 503, "This sign-in is not available at the moment.", _LATER)
UNREACHABLE = RefusalReason("unreachable", 503, "The identity provider does not answer.", _LATER)
NOT_STARTED_HERE = RefusalReason(
    "not_started_here", 403, "This answers no sign-in that was started in this browser, or it was used before.", _AGAIN
)
DECLINED = RefusalReason("declined", 403, "The identity provider did not let you in.", _AGAIN)
NOT_PROVED = RefusalReason("not_proved", 403, "What the identity provider said failed a check.", _LATER)
KEY_UNKNOWN = RefusalReason(
    "key_unknown", 503, "The identity provider signed with a key that is not known yet.", _LATER
)
NO_IDENTITY = RefusalReason("no_identity", 403, "The identity provider did not say who you are.", _LATER)
NO_ROLE = RefusalReason(
    "no_role", 403, "You are known, but none of your groups may use Callboard.", f"{_ASK} They can add you to a group."
)
DEACTIVATED = RefusalReason("deactivated", 403, "Your account was deactivated here.", _ASK)
ACCOUNT_TAKEN = RefusalReason(
    "account_taken", 403, "Another account here has your mail address, or nearly your user name.", _ASK
)
WRONG_PASSWORD = RefusalReason(
    "wrong_password", 403, "This is no account that may sign in here, or its password is another.", "Try again."
)
UNFORESEEN = RefusalReason("unforeseen", 503, "Something went wrong here.", _LATER)


class SignInRefused(CallboardError):
    """Nobody was let in. ``check`` names what failed, for the log: fixed words, never what somebody sent.

    ``provider`` and ``username``, where they are known: whatever else a person's claims say stays out of logs.
    """

    summary = "A sign-in was refused"

    def __init__(self, reason: RefusalReason, check: str = "", *, provider: str = "", username: str = "") -> None:
        super().__init__(reason.told, next_step=reason.what_next)
        self.reason = reason
        self.check = check
        self.provider = provider
        self.username = username
