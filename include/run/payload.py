"""Freezing what is sent: the files of one delivery, rendered once and stored by content."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.integration import Changes, Sftp
from include.ledger.records import PayloadFile
from include.mappings.file_names import file_name
from include.mappings.schemas import schema_for
from include.render.changes import change_files
from include.render.csv import render_csv
from include.render.parts import records_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.integration import Integration
    from include.ledger.records import Claim
    from include.mappings.schema import FeedMapping, Layout, MappingSchema
    from include.run.handed import Extracted
    from include.run.services import Services


@dataclass(frozen=True, slots=True)
class _Part:
    """One file before it has bytes: its name's template, and what writes it and answers how many records are in it."""

    template: str
    write: Callable[[Path], int]


def freeze_payload(
    integration: Integration,
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
    if mapping.destination.file_name is None:
        raise ConfigurationError(f"Feed {mapping.feed} has no file name.", next_step="give it `destination.file_name`")
    first_day = extracted.span.first_day
    period = f"{first_day:%Y%m%d}" if first_day and extracted.span.kind == "pay_period" else ""
    files = []
    for position, part in enumerate(_parts(integration, mapping, extracted, wanted, delta, folder)):
        rendered = folder / f"payload.{position}"
        rows = part.write(rendered)
        stored = services.artifacts.put_file(rendered)
        final = file_name(part.template, extracted.as_of, zone, seq, period=period)
        files.append(
            PayloadFile(
                final_name=final,
                temp_name=temp_name(final, claim),
                sha256=stored.sha256,
                bytes=stored.bytes,
                rows=rows,
            )
        )
    return tuple(files)


def temp_name(final: str, claim: Claim) -> str:
    """The name a file is uploaded under: hidden, in the same folder, and never used by another try."""
    return f".{final}.{claim.fence}-{claim.attempt}.part"


def _parts(
    integration: Integration, mapping: FeedMapping, extracted: Extracted, wanted: Path, delta: Path | None, folder: Path
) -> Iterator[_Part]:
    template, schema = mapping.destination.file_name or "", schema_for(mapping.integration)
    if schema.parts is not None:
        for number, part in enumerate(schema.parts(mapping)):
            records = records_where(wanted, part.field, part.value, folder / f"part.{number}.parquet")
            yield _Part(part.file_name, partial(_write_csv, records, schema, part.layout))
    elif not isinstance(integration.way, Changes):
        yield _Part(template, partial(_write_csv, wanted, schema, mapping.layout))
    elif delta is not None:
        for name, records in change_files(delta, mapping.settings, template, folder):
            yield _Part(name, partial(_write_csv, records, schema, mapping.layout))
    destination = integration.destination
    if isinstance(destination, Sftp) and destination.companion is not None:
        companion = destination.companion
        name = getattr(mapping.settings, companion.name_setting)
        yield _Part(name, lambda target: companion.render(wanted, target, extracted.as_of))


def _write_csv(records: Path, schema: MappingSchema, layout: Layout | None, target: Path) -> int:
    if layout is None:
        raise ConfigurationError(f"{schema.slug} has no file layout.", next_step="give the feed's mapping a `layout`")
    return render_csv(records, schema.record, layout, target).rows
