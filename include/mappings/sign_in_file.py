"""Read the file that ``CALLBOARD_SIGN_IN`` names, and the lists beside it: every fault with file and line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from include.errors import ConfigurationError, Fault, MappingError
from include.mappings.schema import Strict, Text
from include.mappings.sign_in import OidcProvider, SamlProvider, SignIn
from include.mappings.tables import read_table
from include.mappings.wording import dotted, nearest, sentences
from include.mappings.yaml_lines import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from include.mappings.schema import KeyPath

_PROTOCOLS: dict[str, type[BaseModel]] = {"oidc": OidcProvider, "saml": SamlProvider}
_FILES = ("staff", "groups", "saml_key_file", "saml_certificate_file")
_PROVIDER_FILES = ("client_secret_file", "metadata_file", "metadata_certificate_file")


class StaffRow(Strict):
    """One member of the platform's staff: what the matched claim says, and a note for whoever reads the list."""

    value: Text
    note: Text | None = None


class GroupRow(Strict):
    """One group that the identity provider knows."""

    group: Text
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists beside the file. ``groups`` is None where there is none: then what was seen counts."""

    staff: frozenset[str] = frozenset()
    groups: frozenset[str] | None = None


def sign_in_file() -> Path | None:
    """The file that ``CALLBOARD_SIGN_IN`` names; None where it names none, and there is no provider."""
    named = os.environ.get("CALLBOARD_SIGN_IN")
    return Path(named).resolve() if named else None


def load_sign_in(path: Path | None) -> SignIn:
    """Read the file; without one there is no provider. Relative file names in it become absolute.

    Raises:
        ConfigurationError: it is missing or wrong: every fault with its line.
    """
    if path is None:
        return SignIn()
    try:
        document = read_yaml(path.name, path.read_bytes())
    except MappingError as error:
        raise _wrong(error.faults) from None
    except OSError:
        raise ConfigurationError(
            f"{path.name}, which CALLBOARD_SIGN_IN names, cannot be read.",
            next_step="correct CALLBOARD_SIGN_IN or the file's permissions, or leave it out: then nobody is a provider",
        ) from None
    values, faults = dict(document.values), []

    def fault(at: KeyPath, message: str) -> None:
        faults.append(Fault(path.name, document.line(at), None, message))

    for place, provider in enumerate(_providers_of(values, path.parent)):
        for at, said in _provider_faults(provider, ("providers", place)):
            fault(at, said)
    for at, said in _contradictions(values):
        fault(at, said)
    sign_in = None if faults else _whole(values, fault)
    if sign_in is None or faults:
        raise _wrong(faults)
    for at, file in _files_of(sign_in):
        if not file.is_file():
            fault(at, f"'{dotted(at)}' names {file.name}, which is not there")
    if faults:
        raise _wrong(faults)
    load_lists(sign_in)
    return sign_in


def load_lists(sign_in: SignIn) -> Lists:
    """Read the staff list and the list of groups.

    Raises:
        ConfigurationError: one is wrong: every fault with its line.
    """
    faults: list[Fault] = []
    staff: frozenset[str] = frozenset()
    groups: frozenset[str] | None = None
    if sign_in.staff is not None:
        table = read_table(sign_in.staff, StaffRow, ("value",))
        staff, faults = frozenset(row.value for row in table.rows), [*table.faults]
    if sign_in.groups is not None:
        known = read_table(sign_in.groups, GroupRow, ("group",))
        groups, faults = frozenset(row.group for row in known.rows), [*faults, *known.faults]
    if faults:
        raise _wrong(faults)
    return Lists(staff, groups)


def _providers_of(values: dict[str, Any], folder: Path) -> list[Any]:
    """The providers as they are written, relative file names made absolute in all of ``values``."""
    _absolute(values, _FILES, folder)
    given = values.get("providers", [])
    if not isinstance(given, list):
        return []
    values["providers"] = [dict(each) if isinstance(each, dict) else each for each in given]
    for each in values["providers"]:
        if isinstance(each, dict):
            _absolute(each, _PROVIDER_FILES, folder)
    listed: list[Any] = values["providers"]
    return listed


def _absolute(values: dict[str, Any], keys: tuple[str, ...], folder: Path) -> None:
    for key in keys:
        if isinstance(values.get(key), str) and values[key]:
            values[key] = str(folder / values[key])


def _provider_faults(provider: Any, at: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if not isinstance(provider, dict):
        yield at, "'providers' must list groups of keys, each beginning with 'protocol: oidc' or 'protocol: saml'"
        return
    protocol = provider.get("protocol")
    if protocol is None:
        yield at, "required key 'providers.protocol' is missing: oidc or saml"
    elif not isinstance(protocol, str) or protocol not in _PROTOCOLS:
        yield (*at, "protocol"), f"'providers.protocol' is not known: {nearest(str(protocol), _PROTOCOLS)}"
    else:
        model = _PROTOCOLS[protocol]
        try:
            model.model_validate_json(json.dumps(provider))
        except ValidationError as error:
            yield from sentences(error, model, within=at)


def _contradictions(values: dict[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """What the model refuses as a whole, told at the line where it stands."""
    providers = values.get("providers", [])
    names = [each.get("name") if isinstance(each, dict) else None for each in _listed(providers)]
    for place, name in enumerate(names):
        if isinstance(name, str) and name in names[:place]:
            yield ("providers", place, "name"), f"'providers.name' is {name!r} a second time"
    pair = [key for key in ("saml_key_file", "saml_certificate_file") if values.get(key) is not None]
    if len(pair) == 1:
        yield (pair[0],), f"{pair[0]!r} stands alone: a key needs its certificate, and the other way round"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(values: dict[str, Any], fault: Callable[[KeyPath, str], None]) -> SignIn | None:
    try:
        return SignIn.model_validate_json(json.dumps(values))
    except ValidationError as error:
        for at, said in sentences(error, SignIn):
            fault(at, said)
        return None


def _files_of(sign_in: SignIn) -> Iterator[tuple[KeyPath, Path]]:
    """The files that must be there at once; a secret or metadata that is missing concerns its provider alone."""
    for key in _FILES:
        if (file := getattr(sign_in, key)) is not None:
            yield (key,), file
    for place, provider in enumerate(sign_in.providers):
        if isinstance(provider, SamlProvider) and provider.metadata_certificate_file is not None:
            yield ("providers", place, "metadata_certificate_file"), provider.metadata_certificate_file


def _wrong(faults: Iterable[Fault]) -> ConfigurationError:
    """The faults as an error of the configuration: of the same wording as a mapping's."""
    return ConfigurationError(
        f"The sign-in settings have {MappingError(faults).message}",
        next_step="mend the file that CALLBOARD_SIGN_IN names, or the list beside it",
    )
