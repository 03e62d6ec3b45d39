"""Freezing what is sent: the files of one delivery, rendered once and stored by content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.integration import Changes
from include.ledger.records import PayloadFile
from include.mappings.file_names import file_name
from include.mappings.schemas import schema_for
from include.render.changes import change_files
from include.render.csv import render_csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.integration import Way
    from include.ledger.records import Claim
    from include.mappings.schema import FeedMapping
    from include.run.handed import Extracted
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class _Part:
    """One file before it has bytes: its name's template and the records in it."""

    template: str
    records: Path


def freeze_payload(
    way: Way,
    mapping: FeedMapping,
    extracted: Extracted,
    *,
    claim: Claim,
    seq: int,
    wanted: Path,
    delta: Path | None,
    folder: Path,
    services: Services,
) -> tuple[PayloadFile, ...]:
    """Render the snapshot or the delta as the mapping lays it out; an archive of whole tables is what it is.

    The bytes depend on the extract, the mapping and the business clock alone; they are frozen by their hash, and a
    retry sends them again under the same final name. ``delta`` is None where nothing differs. Empty when a `Changes`
    feed has nothing to tell its partner.

    Raises:
        ConfigurationError: the mapping has no layout or file name.
        DataRejected: a value cannot be written in the layout's encoding.
    """
    zone = mapping.time_zone or services.settings.time_zone
    if extracted.has_tables:
        archive = extracted.archive
        final = file_name(mapping.destination.file_name or "", extracted.as_of, zone, seq)
        return (PayloadFile(final, temp_name(final, claim), archive.sha256, archive.bytes, extracted.rows),)
    if mapping.layout is None or mapping.destination.file_name is None:
        raise ConfigurationError(f"Feed {mapping.feed} has no file layout.", next_step="give its mapping a `layout`")
    first_day = extracted.span.first_day
    period = f"{first_day:%Y%m%d}" if first_day and extracted.span.kind == "pay_period" else ""
    files = []
    for position, part in enumerate(_parts(way, mapping, wanted, delta, folder)):
        rendered_file = folder / f"payload.{position}"
        rendered = render_csv(part.records, schema_for(mapping.integration).record, mapping.layout, rendered_file)
        stored = services.artifacts.put_file(rendered_file)
        final = file_name(part.template, extracted.as_of, zone, seq, period=period)
        files.append(
            PayloadFile(
                final_name=final,
                temp_name=temp_name(final, claim),
                sha256=stored.sha256,
                bytes=stored.bytes,
                rows=rendered.rows,
            )
        )
    return tuple(files)


def temp_name(final: str, claim: Claim) -> str:
    """The name a file is uploaded under: hidden, in the same folder, and never used by another try."""
    return f".{final}.{claim.fence}-{claim.attempt}.part"


def _parts(way: Way, mapping: FeedMapping, wanted: Path, delta: Path | None, folder: Path) -> Iterator[_Part]:
    template = mapping.destination.file_name or ""
    if isinstance(way, Changes) and delta is not None:
        for name, records in change_files(delta, mapping.settings, template, folder):
            yield _Part(name, records)
    elif not isinstance(way, Changes):
        yield _Part(template, wanted)
