"""Putting a file of accounts in force."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.hosting.accounts import ANYWHERE, Accounts, read_accounts
from include.hosting.authorized import authorized_keys, write_authorized
from include.hosting.folders import check_account, make_account
from include.hosting.sessions import Session, end_sessions
from include.hosting.users import numbers, numbers_for, require_free, write_passwd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.hosting.accounts import Account
    from include.hosting.file_log import FileLog
    from include.hosting.settings import HostingSettings

_log = logging.getLogger(__name__)
#: A login that was let in just before a change begins its session within this time.
_LATE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """The content of both files that people write. Compared by content: a time stamp may miss an edit."""

    accounts: bytes
    callboard_keys: bytes


class InForce:
    """What is in force at this moment, and the work that it asks for again and again."""

    def __init__(self, settings: HostingSettings, log: FileLog) -> None:
        self._settings = settings
        self._log = log
        self._grants: Mapping[str, frozenset[tuple[str, str]]] = {}
        self._ends_before: dict[int, float] = {}
        self.accounts: Mapping[str, Account] = {}
        self.numbers: Mapping[str, int] = {}

    @property
    def authorized(self) -> Path:
        """The folder of what sshd reads when a key is shown."""
        return self._settings.applied / "authorized_keys"

    def home(self, name: str) -> Path:
        """An account's folder."""
        return self._settings.root / name

    def apply(self, inputs: Inputs) -> None:
        """Put ``inputs`` in force; who may no longer be signed in is signed out.

        Raises:
            ConfigurationError: they are wrong, or what is on this machine does not fit them. Nothing was changed.
        """
        wanted = self._checked(inputs)
        known = numbers_for(self._settings.keys / "uids.json", wanted.by_name)
        for name, account in wanted.by_name.items():
            make_account(self.home(name), known[name], account.folders)
        texts = {
            name: authorized_keys(account, wanted.callboard_keys)
            for name, account in wanted.by_name.items()
            if not account.disabled
        }
        write_passwd(self._settings.passwd, {name: (known[name], self.home(name)) for name in wanted.by_name})
        write_authorized(self.authorized, texts)
        self._log.listen({name: self.home(name) for name in wanted.by_name})
        self._tell(wanted)
        moment = time.time()
        grants = {name: account.grants(wanted.callboard_keys) for name, account in wanted.by_name.items()}
        for name, before in self._grants.items():
            now = grants.get(name, frozenset())
            if any(each not in now and (each[0], ANYWHERE) not in now for each in before):
                self._ends_before[known[name]] = moment + _LATE_SECONDS
        self.accounts, self.numbers, self._grants = wanted.by_name, known, grants
        self.sign_out()
        _remember(self._settings.applied, inputs)

    def sign_out(self) -> None:
        """End the sessions of whoever may not be signed in any more."""
        now = datetime.now(UTC)
        stay = {self.numbers[name] for name, account in self.accounts.items() if account.is_open(now)}

        def is_over(session: Session) -> bool:
            return session.number not in stay or session.began < self._ends_before.get(session.number, 0.0)

        ended = end_sessions(is_over, at_once=True)
        if ended:
            _log.info("%d session(s) ended: their accounts or keys no longer count.", ended)
        self._ends_before = {
            number: before for number, before in self._ends_before.items() if time.time() < before + _LATE_SECONDS
        }

    def _checked(self, inputs: Inputs) -> Accounts:
        wanted = read_accounts(self._settings.accounts.name, inputs.accounts, inputs.callboard_keys)
        require_free(wanted.by_name)
        known = numbers(self._settings.keys / "uids.json")
        for name, account in wanted.by_name.items():
            check_account(self.home(name), known.get(name, -1), account.folders)
        return wanted

    def _tell(self, wanted: Accounts) -> None:
        removed = sorted(self.accounts.keys() - wanted.by_name.keys())
        _log.info("%d account(s) are in force.", len(wanted.by_name))
        if removed:
            _log.info("Removed: %s. Their files stay until somebody removes them.", ", ".join(removed))


def read_inputs(settings: HostingSettings) -> Inputs:
    """Read both files as they are now.

    Raises:
        ConfigurationError: one is not there, or cannot be read.
    """
    try:
        return Inputs(settings.accounts.read_bytes(), settings.callboard_key.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename} cannot be read ({error.strerror}).", next_step="look at the setting that names it"
        ) from None


def _remember(applied: Path, inputs: Inputs) -> None:
    for name, content in (("accounts.yaml", inputs.accounts), ("callboard_keys", inputs.callboard_keys)):
        part = applied / f".{name}.part"
        part.write_bytes(content)
        part.replace(applied / name)


def remembered(settings: HostingSettings) -> Inputs | None:
    """What was last put in force, also by a service before this one; None where there was none."""
    try:
        return Inputs(*((settings.applied / name).read_bytes() for name in ("accounts.yaml", "callboard_keys")))
    except FileNotFoundError:
        return None
