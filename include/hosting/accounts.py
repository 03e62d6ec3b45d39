"""The file of accounts: strict models, and every fault with its line."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from include.errors import ConfigurationError, Fault, MappingError
from include.hosting.public_keys import public_key
from include.mappings.schema import Strict
from include.mappings.wording import sentences
from include.mappings.yaml_lines import Document, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from include.mappings.schema import KeyPath

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
ANYWHERE = "anywhere"
#: Lies in every account's folder, for the log of its file operations.
DEVICES = "dev"


def _folder(name: str) -> str:
    if not _NAME.match(name) or name == DEVICES:
        raise ValueError(f"must be a plain name in lower case, like 'outbound', and not {DEVICES!r}")
    return name


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("must be an address or a network, like 192.0.2.7 or 192.0.2.0/24") from None


class Account(Strict):
    """One customer's account."""

    keys: tuple[Annotated[str, AfterValidator(public_key)], ...] = Field(min_length=1)
    """The customer's public keys. To change one: add the new one, wait until it is used, remove the old one."""
    folders: tuple[Annotated[str, AfterValidator(_folder)], ...] = Field(("outbound", "inbound"), min_length=1)
    """The folders that the account may write to. A folder that is left out later stays, with its files."""
    retention_days: int = Field(ge=1, le=3650)
    """Files that have been there for longer are removed."""
    allowed_from: tuple[Annotated[str, AfterValidator(_network)], ...] | None = Field(None, min_length=1)
    """The addresses and networks from which the customer's keys are accepted. Left out: from anywhere."""
    expires: date | None = None
    """From the beginning of this day (UTC) on nobody signs in, and nothing can be delivered."""
    disabled: bool = False
    """Nobody signs in. Files are kept, for as long as ``retention_days`` says."""

    def grants(self, callboard_keys: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Who may come in from where: each key with a network, or with ``ANYWHERE``."""
        customer = {(key, network) for key in self.keys for network in self.allowed_from or (ANYWHERE,)}
        return frozenset(customer | {(key, ANYWHERE) for key in callboard_keys if key not in self.keys})

    def is_open(self, now: datetime) -> bool:
        """Whether anybody may be signed in at ``now`` (aware)."""
        return not self.disabled and (self.expires is None or now.astimezone(UTC).date() < self.expires)


class _File(Strict):
    accounts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Accounts:
    """What is to be in force: the accounts by name, and the keys by which Callboard comes in to each of them."""

    by_name: Mapping[str, Account]
    callboard_keys: tuple[str, ...]


def read_accounts(name: str, data: bytes, callboard_keys: bytes) -> Accounts:
    """Read the content ``data`` of the file ``name``, and the lines of the file of Callboard's own keys.

    Raises:
        ConfigurationError: one of them is wrong: every fault with its line.
    """
    faults: list[Fault] = []
    by_name: dict[str, Account] = {}
    try:
        document = read_yaml(name, data)
    except MappingError as error:
        faults += error.faults
    else:
        for path, said in _read(document, by_name):
            faults.append(Fault(name, document.line(path), None, said))
        for path, said in _shared(by_name):
            faults.append(Fault(name, document.line(path), None, said))
    own = []
    for line, text in enumerate(callboard_keys.decode("utf-8", errors="replace").splitlines(), start=1):
        if text.strip() and not text.startswith("#"):
            try:
                own.append(public_key(text))
            except ValueError as error:
                faults.append(Fault("the file of Callboard's own keys", line, None, str(error)))
    if not own and not faults:
        faults.append(Fault("the file of Callboard's own keys", None, None, "holds no key"))
    if faults:
        raise ConfigurationError(
            f"The hosted accounts are wrong: {'; '.join(str(fault) for fault in faults)}.",
            next_step="correct it; until then the accounts stay as they were",
        )
    return Accounts(by_name, tuple(dict.fromkeys(own)))


def _read(document: Document, found: dict[str, Account]) -> Iterator[tuple[KeyPath, str]]:
    """Fill in the accounts that are right; the faults of the others."""
    try:
        file = _File.model_validate_json(json.dumps(document.values))
    except ValidationError as error:
        yield from sentences(error, _File)
        return
    for name, given in file.accounts.items():
        path = ("accounts", name)
        if not _NAME.match(name):
            yield path, f"the account {name!r} must be called by a word in lower case of at most 32 letters"
        try:
            found[name] = Account.model_validate_json(json.dumps(given))
        except ValidationError as error:
            yield from sentences(error, Account, within=path)


def _shared(accounts: Mapping[str, Account]) -> Iterator[tuple[KeyPath, str]]:
    """A key that two customers have opens the account of one to the other."""
    owner: dict[str, str] = {}
    for name, account in accounts.items():
        for place, key in enumerate(account.keys):
            first = owner.setdefault(key, name)
            if first != name:
                yield ("accounts", name, "keys", place), f"'accounts.{name}.keys' has a key of the account {first!r}"
