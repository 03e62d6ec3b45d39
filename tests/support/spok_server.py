"""The stand-in for Spok in a thread of its own, and what a test asks of it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from include.destinations.connection import ConnectionDetails
from sandbox.spok import Spok

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class SpokServer:
    spok: Spok
    port: int

    def connection(self, port: int | None = None, **extra: Any) -> ConnectionDetails:
        return ConnectionDetails("spok", "127.0.0.1", port or self.port, None, None, {"timeout_s": 5, **extra})

    def fail(self, *faults: dict[str, Any]) -> None:
        self.spok.faults.replace(list(faults))

    def calls(self) -> list[str]:
        return [request.removeprefix("CALL /") for request in self.spok.faults.requests()]

    def held(self) -> list[dict[str, Any]]:
        return self.spok.state()


@contextmanager
def spok_server(folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[SpokServer]:
    """Serve on a free port of loopback for the length of a block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[Spok, asyncio.Server]:
        spok = Spok(folder / "spok.db")
        return spok, await spok.serve(0, tls)

    async def stop() -> None:
        await asyncio.sleep(0.02)  # asyncio cannot close a server that is just letting somebody in
        server.close()
        while conversations := asyncio.all_tasks() - {asyncio.current_task()}:
            _, lasting = await asyncio.wait(conversations, timeout=0.5)  # most end as their clients hang up
            for conversation in lasting:
                conversation.cancel()
        await asyncio.sleep(0.02)  # until their transports are closed, too
        spok.close()

    spok, server = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=10)
    try:
        yield SpokServer(spok, server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


def write_certificate(file: Path) -> Path:
    """Write a key and a self-signed certificate for 127.0.0.1 into one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "spok")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file
