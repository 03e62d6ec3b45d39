"""Who an identity provider says has come, whatever its protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from include.sign_in.refusals import NO_IDENTITY, SignInRefused

#: What OpenID Connect allows a subject to be long, and SAML a persistent name.
LONGEST_SUBJECT = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """One person as one provider knows them. ``subject`` never changes there; everything else may, and proves nothing.

    ``groups`` are the provider's; ``matched_by`` is what the matched claim said, empty where it said nothing.
    """

    provider: str
    subject: str
    email: str = field(default="", repr=False)
    first_name: str = field(default="", repr=False)
    last_name: str = field(default="", repr=False)
    groups: tuple[str, ...] = ()
    matched_by: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        subject = self.subject
        if not subject or len(subject) > LONGEST_SUBJECT or not subject.isprintable() or subject != subject.strip():
            raise SignInRefused(NO_IDENTITY, "subject", provider=self.provider)

    @property
    def username(self) -> str:
        """The account's name in Airflow. A provider's name has no underscore, so no two people share one."""
        return f"{self.provider}_{self.subject}"


def words(value: Any) -> tuple[str, ...]:
    """The texts of a claim that lists some, or is one; a claim of any other shape says nothing."""
    listed = value if isinstance(value, (list, tuple)) else [value]
    return tuple(each for each in listed if isinstance(each, str) and each)


def word(value: Any) -> str:
    """The text of a claim, or the first of those that it lists; empty where there is none."""
    found = words(value)
    return found[0] if found else ""
