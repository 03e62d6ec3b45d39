"""How a partner's HTTP interface looks: what a customer says about it in a mapping, as templates.

No vendor of this kind publishes how on-call entries are written, so nothing of it stands in code: requests are
templates with placeholders, answers are read by dotted paths, errors by codes. An integration has a default profile,
which is its stand-in's and ours (``default-unconfirmed``); a mapping says what differs.

A placeholder is ``{name}`` inside a text. Known are the record's fields, ``start_utc`` and ``stop_utc`` (ISO 8601,
UTC), ``key`` (the record's name, the same for as long as it is about the same person, target and slot), ``repeat_key``
(a UUID that is the same in every repetition of one add), ``remote_id`` (the partner's name for the record, once it is
known), and of the connection ``login``, ``password`` and ``group_id``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue

from include.mappings.schema import Strict, Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from include.mappings.schema import KeyPath
    from include.operations import Rate

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
#: What an error means: the partner does not know the person, the target, or the record; or will not have the values.
Meaning = Literal["id_unknown", "mapping_incomplete", "value_refused", "gone"]

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
#: Of the Airflow connection.
CREDENTIALS = frozenset({"login", "password", "group_id"})
#: What every record has beside its fields.
INSTANTS = frozenset({"start_utc", "stop_utc"})
#: The instants between which a list is asked for.
SPAN = frozenset({"span_start", "span_stop"})

_CREDENTIALS_BODY: dict[str, JsonValue] = {"login": "{login}", "password": "{password}"}
_CODES: dict[str, Meaning] = {
    "UNKNOWN_USER": "id_unknown",
    "UNKNOWN_TARGET": "mapping_incomplete",
    "UNKNOWN_ASSIGNMENT": "gone",
}
_STATUSES: dict[str, Meaning] = {"410": "gone"}

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")
_STEP = re.compile(r"[A-Za-z0-9_@$-]+(\.[A-Za-z0-9_@$-]+)*\Z")


def _path(value: str) -> str:
    if not value.startswith("/") or not value.isprintable() or set(value) & set('#\\ "<>'):
        raise ValueError("must be a path that begins with '/', like /assignments/{remote_id}")
    if ".." in value.partition("?")[0].split("/"):
        raise ValueError("must be a path without '..'")
    return value


def _dotted(value: str) -> str:
    if not _STEP.match(value):
        raise ValueError("must be a dotted path into a JSON answer, like data.id or items.0.id")
    return value


def _header(value: str) -> str:
    if not _HEADER.match(value):
        raise ValueError("must be the name of an HTTP header")
    return value


def _printable(value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ValueError("must be plain text on one line")
    return value


UrlPath = Annotated[Text, AfterValidator(_path)]
Dotted = Annotated[Text, AfterValidator(_dotted)]
HeaderName = Annotated[Text, AfterValidator(_header)]
HeaderValue = Annotated[Text, AfterValidator(_printable)]


class RateLimit(Strict):
    """How many operations the partner takes in how many seconds, over all feeds that use its connection."""

    operations: int = Field(ge=1, le=100_000)
    """So many operations."""
    seconds: float = Field(gt=0, le=86_400)
    """In so many seconds."""

    def as_rate(self) -> Rate:
        """Tell it as sessions do."""
        from include.operations import Rate

        return Rate(self.operations, self.seconds)


class HttpRequest(Strict):
    """One request, as a template."""

    method: Method
    """`GET`, `POST`, `PUT`, `PATCH` or `DELETE`."""
    path: UrlPath
    """Behind the connection's address; what stands in for a placeholder is percent-encoded."""
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Headers beside those for signing in, such as `Idempotency-Key: "{repeat_key}"`."""
    body: JsonValue = None
    """Nested JSON. A text that is one placeholder and nothing else keeps the value's type, and is null without one."""


class NamingRequest(HttpRequest):
    """A request whose answer names the record."""

    remote_id: Dotted | None = None
    """Where the partner's name for the record stands in the answer."""


class FindRequest(NamingRequest):
    """Looks for one record by its key.

    Partners may match a search without regard to capitals, or ignore a part of it: with ``items`` and ``key``, what
    came is compared with what was asked for, and a stranger's record is not taken for ours.
    """

    items: Dotted | None = None
    """Where the list of what was found stands in the answer; left out: the answer is one record."""
    key: Dotted | None = None
    """Where, in an item, the key stands that was asked for."""


class ListRequest(HttpRequest):
    """Asks for everything that the partner holds between two instants, in one answer.

    It may use ``{span_start}`` and ``{span_stop}`` (ISO 8601, UTC) and, where ``each`` says so, one field of records.
    """

    each: Text | None = None
    """A field of records, such as the target: asked for once for every value of it that the mapping's table has."""
    items: Dotted | None = None
    """Where the list stands in the answer; left out: the answer is the list."""
    remote_id: Dotted
    """Where, in an item, the partner's name for it stands."""
    key: Dotted
    """Where, in an item, the key stands under which we added it; what has none is not ours."""
    fields: dict[Text, Dotted]
    """Which record field, `start_utc` and `stop_utc` among them, stands where in an item."""


class SignIn(Strict):
    """How the background user signs in."""

    kind: Literal["none", "basic", "session"] = "session"
    """`basic`: login and password with every request; `session`: once, for a token; `none`: not at all."""
    method: Method = "POST"
    """Of the request for a session."""
    path: UrlPath = "/sessions"
    """Of the request for a session."""
    body: JsonValue = Field(default_factory=lambda: dict(_CREDENTIALS_BODY))
    """Of the request for a session."""
    token: Dotted = "token"  # noqa: S105 - where it stands, not what it is
    """Where the token stands in the answer."""
    header: HeaderName = "Authorization"
    """The header that carries it."""
    value: HeaderValue = "Bearer {token}"
    """What the header says."""


class Errors(Strict):
    """What the partner's errors mean. Codes come first, then statuses; other errors of ours are `value_refused`.

    401 and 403 mean that we are refused altogether, 429 that we shall come again later: that is not for a mapping to
    say. Nor is what a status of 500 or more means: that nobody knows.
    """

    code: Dotted = "code"
    """Where the code stands in an error's JSON."""
    codes: dict[Text, Meaning] = Field(default_factory=lambda: dict(_CODES))
    """What each code means: `id_unknown`, `mapping_incomplete`, `value_refused` or `gone` (there is no such record)."""
    statuses: dict[Annotated[str, Field(pattern=r"^4[0-9]{2}$")], Meaning] = Field(
        default_factory=lambda: dict(_STATUSES)
    )
    """What each status means where the code does not say it."""


class HttpProfile(Strict):
    """A partner's HTTP interface. An integration's own profile gives its requests defaults."""

    sign_in: SignIn = SignIn()
    """How the background user signs in."""
    add: NamingRequest
    """Adds a record."""
    update: NamingRequest
    """Changes a record; one that is not there is added."""
    delete: HttpRequest
    """Takes a record away; one that is not there is as good as taken away."""
    find: FindRequest | None = None
    """Looks for a record by its key. Without it, an add whose answer was lost is repeated."""
    list: ListRequest | None = None
    """Lists what the partner holds."""
    concurrency: int = Field(default=4, ge=1, le=16)
    """How many requests are under way at the same time."""
    timeout_s: float = Field(default=10, ge=1, le=120)
    """How many seconds an answer may take."""
    client_key: bool = False
    """The partner drops (or replaces) a second add with the same `{key}` or `{repeat_key}`: adds may be repeated."""
    errors: Errors = Errors()
    """What the partner's errors mean."""


def placeholders(template: Any) -> Iterator[str]:
    """Name the placeholders of a template: a text, or JSON with texts in it (keys of objects are no templates)."""
    if isinstance(template, str):
        yield from PLACEHOLDER.findall(template)
    elif isinstance(template, dict):
        for value in template.values():
            yield from placeholders(value)
    elif isinstance(template, list):
        for value in template:
            yield from placeholders(value)


def profile_faults(profile: HttpProfile, fields: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    """Say what is wrong with a profile for records of these fields: where in it, and a sentence."""
    record = frozenset(fields) | INSTANTS | CREDENTIALS | {"key"}
    held = record | {"remote_id", "repeat_key"}
    listed = CREDENTIALS | SPAN | ({profile.list.each} if profile.list and profile.list.each else set())
    known: Mapping[str, Collection[str]] = {
        "add": record | {"repeat_key"},
        "update": held,
        "delete": held,
        "find": record,
        "list": listed,
    }
    for name, names in known.items():
        request: HttpRequest | None = getattr(profile, name)
        if request is not None:
            yield from _request_faults((name,), request, names)
    yield from _template_faults(("sign_in", "path"), profile.sign_in.path, CREDENTIALS - {"password"})
    yield from _template_faults(("sign_in", "body"), profile.sign_in.body, CREDENTIALS)
    yield from _template_faults(("sign_in", "value"), profile.sign_in.value, {"token"})
    yield from _contradictions(profile, fields)


def profile_advice(profile: HttpProfile) -> Iterator[str]:
    """Say what is allowed, and what it costs."""
    if profile.find is None and not profile.client_key:
        yield (
            "settings.http has neither find nor client_key: an add whose answer is lost is repeated, so that the "
            "partner may hold the record twice"
        )


def _contradictions(profile: HttpProfile, fields: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    added = {*placeholders(profile.add.path), *placeholders(profile.add.headers), *placeholders(profile.add.body)}
    if profile.client_key and not added & {"key", "repeat_key"}:
        yield ("client_key",), "is true, but add has neither {key} nor {repeat_key}"
    by_name = [
        name
        for name in ("update", "delete")
        if "remote_id" in {*placeholders(getattr(profile, name).path), *placeholders(getattr(profile, name).body)}
    ]
    if by_name and profile.add.remote_id is None and (profile.find is None or profile.find.remote_id is None):
        yield ("add",), f"has no remote_id, which {by_name[0]} needs"
    if profile.find is not None and profile.find.remote_id is None:
        yield ("find",), "has no remote_id: it could not tell whether the record is there"
    if profile.list is not None:
        for field in (profile.list.each, *profile.list.fields):
            if field is not None and field not in fields and field not in INSTANTS:
                yield ("list",), f"names {field!r}, which is no field of the record"


def _request_faults(within: KeyPath, request: HttpRequest, names: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    # Paths stand in the logs of every server on the way.
    yield from _template_faults((*within, "path"), request.path, frozenset(names) - {"password"})
    yield from _template_faults((*within, "headers"), dict(request.headers), names)
    yield from _template_faults((*within, "body"), request.body, names)


def _template_faults(within: KeyPath, template: Any, names: Collection[str]) -> Iterator[tuple[KeyPath, str]]:
    for name in dict.fromkeys(placeholders(template)):
        if name not in names:
            yield within, f"{{{name}}} is no placeholder here: known are {', '.join(sorted(names))}"
    if _stray_brace(template):
        yield within, "has a brace that is no placeholder: write {name}, in lower case, without blanks"


def _stray_brace(template: Any) -> bool:
    if isinstance(template, str):
        return bool(set("{}") & set(PLACEHOLDER.sub("", template)))
    if isinstance(template, dict):
        return any(_stray_brace(value) for value in template.values())
    return isinstance(template, list) and any(_stray_brace(value) for value in template)
