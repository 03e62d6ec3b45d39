"""Judges who has signed in, against the schedule's people and the staff list, and whether the role map is complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.expectations import identity_suites
from include.expectations.runner import check
from include.mappings.sign_in import AIRFLOW_ROLES

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from include.mappings.sign_in import SignIn
    from include.mappings.sign_in_file import Lists

#: Somebody must be able to mend the platform itself.
_NEEDED = "Admin"


@dataclass(frozen=True, slots=True)
class RoleMap:
    """What is wrong with the role map (``faults``), and what may be (``warnings``); what was counted."""

    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    checks: tuple[dict[str, Any], ...]


def judge_accounts(accounts: pd.DataFrame, staff: Collection[str]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Judge who has signed in; the judged rows, and what was counted.

    ``accounts``: see :func:`include.sources.accounts.read_accounts`. The judged rows have ``reason``, ``detail`` and
    ``also`` beside. Whose provider is not in the settings any more is not judged: nobody signs in with it.
    """
    import pandas as pd

    judged = accounts.copy()
    folded = {value.casefold() for value in staff}
    by_mail = judged["field"].eq("email")
    values = judged["value"].fillna("").astype("str")
    on_staff = values.isin(list(staff)) | (by_mail & values.str.casefold().isin(folded))
    judged["on_staff"] = on_staff & judged["value"].notna()
    configured = judged["field"].notna()
    judged["somebody"] = judged["active_people"] + judged["on_staff"].astype("int64")
    judged["somebody"] = judged["somebody"].astype("Int64").mask(judged["value"].isna())
    checks = check(identity_suites.accounts(), judged[configured].reset_index(drop=True))
    reason, detail, also = (pd.Series(index=judged.index, dtype="str") for _ in range(3))
    nobody = judged["somebody"].eq(0).fillna(value=False).astype(bool)
    inactive = nobody & (judged["people"] > 0)
    also = also.mask(inactive, "person_inactive")
    for mask, name, said in (
        (~configured, "not_sent", "its identity provider is no longer in the settings"),
        (judged["value"].isna(), "id_missing", "the provider says nothing in the matched claim"),
        (judged["active_people"] > 1, "id_duplicate", "several active people carry the value of the matched claim"),
        (inactive, "id_unknown", "the person who carries the value of the matched claim is inactive"),
        (nobody, "id_unknown", "nobody of the schedule or the staff list has the value of the matched claim"),
    ):
        chosen = mask & reason.isna()
        reason, detail = reason.mask(chosen, name), detail.mask(chosen, said)
    judged["reason"], judged["detail"] = reason, detail
    judged["also"] = also.where(reason.eq("id_unknown").fillna(value=False).astype(bool))
    return judged, checks


def judge_roles(sign_in: SignIn, lists: Lists, seen: Collection[str]) -> RoleMap:
    """Judge the role map: every group is known, every role exists, and each can be had. ``seen``: groups at sign-ins.

    Where the provider's groups are listed, the list decides; else a group that was never seen is only a warning.
    """
    import pandas as pd

    known = AIRFLOW_ROLES | set(sign_in.own_roles)
    entries = pd.DataFrame(
        [
            {
                "group": group,
                "role": role,
                "is_listed": None if lists.groups is None else group in lists.groups,
                "was_seen": group in seen if lists.groups is None else None,
                "role_exists": role in known,
            }
            for group, roles in sign_in.roles.items()
            for role in (roles or ("",))
        ],
        columns=["group", "role", "is_listed", "was_seen", "role_exists"],
        dtype=object,
    )
    led_to = set(entries.loc[entries["is_listed"].ne(other=False), "role"])
    if sign_in.break_glass:
        led_to.add(_NEEDED)
    wanted = sorted({*known.intersection(entries["role"]), *sign_in.own_roles, _NEEDED})
    roles = pd.DataFrame({"role": wanted, "is_reachable": [role in led_to for role in wanted]})
    checks = [*check(identity_suites.role_map(), entries), *check(identity_suites.roles(), roles)]
    faults = [
        f"the group {group!r} is not among the listed groups"
        for group in entries.loc[entries["is_listed"].eq(other=False), "group"].unique()
    ]
    faults += [
        f"the group {row.group!r} is to have the role {row.role!r}, which does not exist"
        if row.role
        else f"the group {row.group!r} has no role"
        for row in entries[entries["role_exists"].eq(other=False)].itertuples()
    ]
    faults += [f"no group leads to the role {role!r}" for role in roles.loc[~roles["is_reachable"], "role"]]
    warnings = [
        f"the group {group!r} of the role map was not seen at any sign-in yet"
        for group in entries.loc[entries["was_seen"].eq(other=False), "group"].unique()
    ]
    return RoleMap(tuple(faults), tuple(warnings), tuple(checks))
