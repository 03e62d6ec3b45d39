"""Opening object storage by Airflow's connection, once in each process: in Airflow's own, in forked ones, in any other.

A forked child never uses what its parent has opened: file systems of fsspec own a thread, an event loop and sockets.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING

from include.artifacts.address import address_of
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import ObjectStoragePath

    from include.artifacts.address import Address

#: By URL and process. Kept to the end of the process, also those of a parent: closing them here would disturb it there.
_opened: dict[tuple[str, int], ObjectStoragePath] = {}


def preload(url: str) -> None:
    """Import what the objects of ``url`` need, and open nothing: for parents of forked tasks."""
    s3 = ("airflow.providers.amazon.aws.fs.s3", "s3fs")
    azure = ("airflow.providers.microsoft.azure.fs.adls", "adlfs")
    for module in ("airflow.sdk.io", *(s3 if address_of(url).protocol == "s3" else azure)):
        import_module(module)


def opened(address: Address) -> ObjectStoragePath:
    """Answer this process's root of ``address``; any thread may ask.

    Raises:
        ConfigurationError: the connection is missing.
    """
    mine = (address.url, os.getpid())
    if mine not in _opened:
        with _airflow_aside():
            _opened.setdefault(mine, _open(address))
    return _opened[mine]


def _open(address: Address) -> ObjectStoragePath:
    from airflow.sdk import ObjectStoragePath
    from airflow.sdk.exceptions import AirflowException
    from airflow.sdk.io import attach, get_fs

    scheme = address.url.partition(":")[0]
    try:
        # Airflow keeps one for each connection, which a fork copies: this process has one of its own.
        attach(scheme, address.connection).fs = fs = get_fs(scheme, address.connection)
    except AirflowException:
        raise ConfigurationError(
            f"There is no Airflow connection {address.connection} for the artifacts.",
            next_step=f"set {address.variable}, or correct CALLBOARD_ARTIFACTS",
        ) from None
    # Azure's library tells every header of every request, in the log of every task.
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
    fs.dircache.use_listings_cache = False  # others store and remove objects at any time
    return ObjectStoragePath(address.url)


@contextmanager
def _airflow_aside() -> Iterator[None]:
    """In a process that is none of Airflow's, keep Airflow from taking over its log and its standard output.

    It does so when it is imported; the command line prints JSON there.
    """
    if "airflow" in sys.modules:
        yield
        return
    root, disabled = logging.getLogger(), logging.root.manager.disable
    handlers, level = root.handlers[:], root.level
    logging.disable(logging.INFO)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)
