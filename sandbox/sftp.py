"""A partner's SFTP server: ``python -m sandbox.sftp --root DIR --port N --host-key FILE --authorized-key FILE``.

It listens on loopback, shows its clients nothing but ``--root`` (created if missing), accepts one public key for any
user name, knows posix-rename, and creates folders for clients as a vendor's would. Control (``--control-port``, see
:mod:`sandbox.control`): requests are called AUTH /user, OPEN, READ, WRITE, CLOSE, STAT, LIST, RENAME, POSIX_RENAME,
REMOVE and MKDIR with the path they are about (renames: the old one); a fault's ``status`` is ``drop`` (hang up before
doing it) or the name of an SFTP status: no_such_file, permission_denied, failure, op_unsupported, no_space, quota.

Prints one JSON line with its two ports when it is ready. SIGTERM and SIGINT end it.
"""

# ruff: noqa: D102 - the methods are asyncssh's, and described there
from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh  # noqa: TID253 - a program of its own: nobody imports it in passing

from sandbox.control import Faults, serve_control

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_STATUSES = {
    "no_such_file": asyncssh.FX_NO_SUCH_FILE,
    "permission_denied": asyncssh.FX_PERMISSION_DENIED,
    "failure": asyncssh.FX_FAILURE,
    "op_unsupported": asyncssh.FX_OP_UNSUPPORTED,
    "no_space": asyncssh.FX_NO_SPACE_ON_FILESYSTEM,
    "quota": asyncssh.FX_QUOTA_EXCEEDED,
}


def files_under(root: Path) -> list[dict[str, Any]]:
    """Describe every file: ``key`` (its path as clients see it), ``size``, ``sha256``, ``modified`` (UTC)."""
    described = []
    for path in sorted(root.rglob("*")):
        try:
            if not path.is_file():
                continue
            data, modified = path.read_bytes(), path.stat().st_mtime
        except FileNotFoundError:  # taken away meanwhile
            continue
        described.append(
            {
                "key": "/" + path.relative_to(root).as_posix(),
                "size": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "modified": datetime.fromtimestamp(modified, UTC).isoformat(),
            }
        )
    return described


class PartnerSftp(asyncssh.SFTPServer):
    """One session: what asyncssh's server does, unless a fault says otherwise."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], root: Path, faults: Faults) -> None:
        super().__init__(channel, chroot=str(root).encode())
        self._faults = faults
        self._open_paths: dict[int, bytes] = {}

    async def _do(self, method: str, path: bytes, action: Callable[[], Any]) -> Any:
        fault = self._faults.next(f"{method} {path.decode('utf-8', 'replace')}")
        if fault is None:
            return action()
        await asyncio.sleep(fault.delay_s)
        if fault.status == "drop":
            self._hang_up()
        if fault.status is not None:
            raise asyncssh.SFTPError(_STATUSES[str(fault.status)], f"the sandbox was told to answer {fault.status}")
        result = action()
        if fault.drop_after_commit:
            self._hang_up()
        return result

    def _hang_up(self) -> None:
        self.connection.abort()
        raise asyncssh.SFTPConnectionLost("gone")  # reaches nobody

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        file: object = await self._do("OPEN", path, lambda: super(PartnerSftp, self).open(path, pflags, attrs))
        self._open_paths[id(file)] = path
        return file

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        path = self._open_paths[id(file_obj)]
        return bytes(await self._do("READ", path, lambda: super(PartnerSftp, self).read(file_obj, offset, size)))

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        path = self._open_paths[id(file_obj)]
        return int(await self._do("WRITE", path, lambda: super(PartnerSftp, self).write(file_obj, offset, data)))

    async def close(self, file_obj: object) -> None:
        path = self._open_paths.pop(id(file_obj))
        await self._do("CLOSE", path, lambda: super(PartnerSftp, self).close(file_obj))

    async def stat(self, path: bytes) -> Any:
        return await self._do("STAT", path, lambda: super(PartnerSftp, self).stat(path))

    async def lstat(self, path: bytes) -> Any:
        return await self._do("STAT", path, lambda: super(PartnerSftp, self).lstat(path))

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        await self._do("LIST", path, lambda: None)
        async for name in super().scandir(path):
            yield name

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._do("RENAME", oldpath, lambda: super(PartnerSftp, self).rename(oldpath, newpath))

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._do("POSIX_RENAME", oldpath, lambda: super(PartnerSftp, self).posix_rename(oldpath, newpath))

    async def remove(self, path: bytes) -> None:
        await self._do("REMOVE", path, lambda: super(PartnerSftp, self).remove(path))

    async def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        await self._do("MKDIR", path, lambda: super(PartnerSftp, self).mkdir(path, attrs))


class Login(asyncssh.SSHServer):
    """The gatekeeper of one connection: one public key, any user name."""

    def __init__(self, authorized: bytes, faults: Faults) -> None:
        self._authorized = authorized
        self._faults = faults
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        fault = self._faults.next(f"AUTH /{username}")
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
            if fault.status == "drop" and self._connection is not None:
                self._connection.abort()
            if fault.status is not None:
                return False
        return bool(key.public_data == self._authorized)


async def serve(arguments: argparse.Namespace) -> None:
    """Run until a signal says stop."""
    root: Path = arguments.root
    faults = Faults()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    authorized = asyncssh.read_public_key(str(arguments.authorized_key)).public_data
    server = await asyncssh.create_server(
        lambda: Login(authorized, faults),
        arguments.host,
        arguments.port,
        server_host_keys=[str(path) for path in arguments.host_key],
        server_version="SandboxPartner",
        sftp_factory=lambda channel: PartnerSftp(channel, root, faults),
        allow_scp=False,
        reuse_address=True,
    )
    control = serve_control(arguments.control_port, faults, lambda: files_under(root), host=arguments.host)
    print(json.dumps({"port": server.get_port(), "control_port": control.server_port}), flush=True)
    await stop.wait()
    server.close()
    await server.wait_closed()
    await asyncio.to_thread(control.shutdown)
    control.server_close()


def main(words: list[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.sftp", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="the folder to serve")
    parser.add_argument("--host", default="127.0.0.1", help="what to listen on; beyond this machine: 0.0.0.0")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--host-key", type=Path, required=True, action="append", help="private host key; repeatable")
    parser.add_argument("--authorized-key", type=Path, required=True, help="the public key that may log in")
    parser.add_argument("--control-port", type=int, required=True, help="0 takes a free one")
    arguments = parser.parse_args(words)
    arguments.root = arguments.root.resolve()
    arguments.root.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
