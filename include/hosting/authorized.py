"""What sshd reads when somebody shows a key: one file of authorized keys for each account that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from include.hosting.accounts import Account


def authorized_keys(account: Account, callboard_keys: Iterable[str]) -> str:
    """The text of an account's file. Callboard's own keys may come from anywhere, and end with the account."""
    until = f',expiry-time="{account.expires:%Y%m%d}0000Z"' if account.expires else ""
    customer = f',from="{",".join(account.allowed_from)}"' if account.allowed_from else ""
    lines = [f"restrict{until}{customer} {key} customer" for key in account.keys]
    # A key that a customer also has must not lose the customer's bounds: the first line that fits is taken.
    lines += [f"restrict{until} {key} callboard" for key in callboard_keys if key not in account.keys]
    return "".join(f"{line}\n" for line in lines)


def write_authorized(folder: Path, files: Mapping[str, str]) -> None:
    """Let ``folder`` hold exactly these files; each is replaced in one step."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, text in files.items():
        part = folder / f".{name}.part"
        part.write_text(text, encoding="ascii")
        part.chmod(0o644)  # sshd reads it as the account
        part.replace(folder / name)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
