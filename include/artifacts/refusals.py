"""What the refusals and silences of object storage mean, and what to do: in words of ours, without theirs.

The texts of the libraries quote access keys and addresses: nothing of them is passed on but a status and a code.
"""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from include.errors import CallboardError, ConfigurationError, SourceNotReady

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.artifacts.address import Address

#: Refusals of this machine's own disk, while something is read or written there.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.ENOTDIR, errno.EMFILE, errno.ENFILE)
_CODE = re.compile(r"[A-Za-z]{1,60}\Z")
#: Statuses that pass by themselves: a request too slow, a conflict with another one, too many.
_PASSING = (408, 409, 425, 429)


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Translate what the libraries of the object storage at ``address`` raise. FileNotFoundError is passed on.

    Raises:
        ConfigurationError: it refuses, or cannot be addressed as the connection says.
        SourceNotReady: it does not answer, or says that it cannot just now.
    """
    try:
        yield
    except (CallboardError, FileNotFoundError):
        raise
    except OSError as error:
        if error.errno in _DISK or (error.filename is not None and error.errno in (errno.EACCES, errno.EPERM)):
            raise
        raise _meaning(address, error) from None
    except ValueError as error:  # how adlfs and botocore answer addresses and keys that are none
        raise _meaning(address, error) from None
    except _of_the_library(address.protocol) as error:
        raise _meaning(address, error) from None


def missing_bucket(address: Address) -> ConfigurationError:
    """Say that the bucket (Azure: container) itself is not there."""
    return ConfigurationError(
        f"There is no bucket or container {address.bucket} for the artifacts.",
        next_step=f"create it, or correct CALLBOARD_ARTIFACTS or the connection {address.connection}",
    )


def _of_the_library(protocol: str) -> tuple[type[BaseException], ...]:
    import aiohttp

    if protocol == "s3":
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        return (BotoCoreError, ClientError, aiohttp.ClientError)
    from azure.core.exceptions import AzureError

    return (AzureError, aiohttp.ClientError)


def _meaning(address: Address, error: BaseException) -> CallboardError:
    status, code = _answer(error)
    told = " ".join(str(each) for each in (status, code or type(error).__name__) if each)
    if _passes(error, status, address.protocol):
        return SourceNotReady(
            f"The artifacts in {address.where} could not be reached just now ({told}).",
            next_step=f"look whether the object storage runs, and at the connection {address.connection}; "
            "the task tries again",
        )
    return ConfigurationError(
        f"The object storage refuses the artifacts in {address.where} ({told}).",
        next_step=f"correct the connection {address.connection} ({address.variable}): it must be allowed to list the "
        f"bucket {address.bucket} and to read, write and delete in it",
    )


def _answer(error: BaseException) -> tuple[int | None, str]:
    """Find the HTTP status and the error code in what a library raised, or in what that was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        response: Any = getattr(cause, "response", None)
        if isinstance(response, dict):  # botocore
            status, code = response.get("ResponseMetadata", {}).get("HTTPStatusCode"), response["Error"].get("Code")
        else:  # Azure
            status, code = getattr(cause, "status_code", None), getattr(cause, "error_code", None)
        if status:
            code = str(getattr(code, "value", code) or "")
            return int(status), code if _CODE.match(code) else ""
        cause = cause.__cause__
    return None, ""


def _passes(error: BaseException, status: int | None, protocol: str) -> bool:
    """Whether trying again may help."""
    if status is not None:
        return status >= 500 or status in _PASSING
    if isinstance(error, (PermissionError, ValueError)):
        return False
    if isinstance(error, OSError):
        return error.errno not in (errno.EINVAL, errno.EPERM, errno.ENOSYS)
    if protocol == "s3":
        from botocore import exceptions as boto  # type: ignore[import-untyped]

        return not isinstance(error, boto.BotoCoreError) or isinstance(
            error,
            (
                boto.HTTPClientError,
                boto.ConnectionError,
                boto.IncompleteReadError,
                boto.CredentialRetrievalError,
                boto.MetadataRetrievalError,
            ),
        )
    from azure.core.exceptions import ClientAuthenticationError

    return not isinstance(error, ClientAuthenticationError)
