"""Where object storage is: the setting ``CALLBOARD_ARTIFACTS``, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from include.errors import ConfigurationError

_URL = re.compile(r"(s3|abfs|abfss)://[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+(/[A-Za-z0-9_./-]*)?\Z")


@dataclass(frozen=True, slots=True)
class Address:
    """Where objects lie: protocol (s3 or abfs), Airflow's connection, bucket (or container), and what people read."""

    url: str
    protocol: str
    connection: str
    bucket: str
    where: str

    @property
    def variable(self) -> str:
        """The environment variable that holds the connection."""
        return f"AIRFLOW_CONN_{self.connection.upper()}"


def address_of(url: str) -> Address:
    """Take a URL apart: ``s3://connection@bucket/prefix`` or ``abfs://connection@container/prefix``.

    Raises:
        ConfigurationError: it is none. Its text is not repeated: somebody may have put a key into it.
    """
    if not _URL.match(url):
        raise ConfigurationError(
            "CALLBOARD_ARTIFACTS is no address of object storage.",
            next_step="write s3://callboard_artifacts@bucket/prefix or abfs://callboard_artifacts@container/prefix, "
            "where callboard_artifacts is an Airflow connection, or leave it empty for the disk of this machine",
        )
    parts = urlsplit(url)
    connection, _, bucket = parts.netloc.partition("@")
    prefix = "/".join(part for part in parts.path.split("/") if part)
    where = f"{parts.scheme}://{bucket}/{prefix}".rstrip("/")
    return Address(
        url=f"{parts.scheme}://{connection}@{bucket}/{prefix}",
        protocol="s3" if parts.scheme == "s3" else "abfs",
        connection=connection,
        bucket=bucket,
        where=where,
    )
