"""Object storage on loopback: moto for S3, and Azurite for Azure Blob Storage, each a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx

from tests.conftest import free_port
from tests.support import npm_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path(__file__).parent / "object_stores"
#: The name of the Airflow connection, and the variable that holds it.
CONNECTION = "callboard_artifacts"
VARIABLE = "AIRFLOW_CONN_CALLBOARD_ARTIFACTS"
_START_SECONDS = 60
_ACCOUNT = "callboardtest"
_KEY = "dGhlIGtleSBvZiBhIHRlc3QsIGtub3duIHRvIGV2ZXJ5Ym9keSwgb2YgNjQgYnl0ZXMgb3Igc28uLi4="


@dataclass(frozen=True)
class ObjectStorage:
    """A running service: ``kind`` is s3 or azure. ``port`` is where clients go, a proxy's perhaps."""

    kind: str
    port: int
    bucket: str = field(default_factory=lambda: f"artifacts-{secrets.token_hex(6)}")
    secret: str = _KEY

    @property
    def url(self) -> str:
        """The setting ``CALLBOARD_ARTIFACTS``."""
        return f"{'s3' if self.kind == 's3' else 'abfs'}://{CONNECTION}@{self.bucket}/some/where"

    @property
    def connection(self) -> str:
        """The Airflow connection, as its environment variable holds it."""
        address = f"http://127.0.0.1:{self.port}"
        if self.kind == "s3":
            extra = {"endpoint_url": address, "region_name": "us-east-1"}
            return json.dumps({"conn_type": "aws", "login": "access", "password": self.secret, "extra": extra})
        parts = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": _ACCOUNT,
            "AccountKey": self.secret,
            "BlobEndpoint": f"{address}/{_ACCOUNT}",
        }
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        return json.dumps({"conn_type": "wasb", "extra": {"connection_string": text}})

    def at(self, port: int) -> ObjectStorage:
        """The same, reached through another port."""
        return replace(self, port=port)

    def elsewhere(self, bucket: str | None = None) -> ObjectStorage:
        """The same service with another bucket, which does not exist yet."""
        return replace(self, bucket=bucket or f"artifacts-{secrets.token_hex(6)}")

    def create_bucket(self) -> None:
        """Make the bucket, or the container."""
        if self.kind == "s3":
            self._s3().create_bucket(Bucket=self.bucket)
        else:
            with self._azure() as client:
                client.create_container()

    def objects(self) -> list[str]:
        """All objects of the bucket, as anybody sees them."""
        if self.kind == "s3":
            pages = self._s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
            return [each["Key"] for page in pages for each in page.get("Contents", [])]
        with self._azure() as client:
            return [each.name for each in client.list_blobs()]

    def write(self, key: str, data: bytes) -> None:
        """Put an object there, behind everybody's back."""
        if self.kind == "s3":
            self._s3().put_object(Bucket=self.bucket, Key=key, Body=data)
        else:
            with self._azure() as client:
                client.upload_blob(key, data, overwrite=True)

    def read(self, key: str) -> bytes:
        """Read an object."""
        if self.kind == "s3":
            answer: bytes = self._s3().get_object(Bucket=self.bucket, Key=key)["Body"].read()
            return answer
        with self._azure() as client:
            return bytes(client.download_blob(key).readall())

    def delete(self, key: str) -> None:
        """Remove an object, behind everybody's back."""
        if self.kind == "s3":
            self._s3().delete_object(Bucket=self.bucket, Key=key)
        else:
            with self._azure() as client:
                client.delete_blob(key)

    def modified(self, key: str) -> float:
        """When an object was stored: whole seconds of the epoch, by the service's clock."""
        if self.kind == "s3":
            stored: float = self._s3().head_object(Bucket=self.bucket, Key=key)["LastModified"].timestamp()
            return stored
        with self._azure() as client:
            return float(client.get_blob_client(key).get_blob_properties().last_modified.timestamp())

    def _s3(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id="access",
            aws_secret_access_key=_KEY,
            region_name="us-east-1",
        )

    def _azure(self) -> Any:
        from azure.storage.blob import ContainerClient

        address = f"http://127.0.0.1:{self.port}/{_ACCOUNT}"
        return ContainerClient(address, self.bucket, credential={"account_name": _ACCOUNT, "account_key": _KEY})


@contextmanager
def s3() -> Iterator[ObjectStorage]:
    """Run moto's server."""
    port = free_port()
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, {}):
        yield ObjectStorage("s3", port)


@contextmanager
def azure() -> Iterator[ObjectStorage]:
    """Run Azurite's blob service; skips where node or npm is missing."""
    port = free_port()
    program = npm_packages.installed(SOURCES) / "node_modules/azurite/dist/src/blob/main.js"
    with tempfile.TemporaryDirectory() as folder:
        command = ["node", str(program), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        command += ["--blobPort", str(port), "--location", folder]
        with _running(command, port, {"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"}):
            yield ObjectStorage("azure", port)


@contextmanager
def _running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    with (
        tempfile.TemporaryFile() as printed,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=os.environ | environment,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(port):
                printed.seek(0)
                assert process.poll() is None, f"{command} ended: {printed.read().decode()}"
                assert time.monotonic() < deadline, f"{command} did not start within {_START_SECONDS} s"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=5).status_code > 0
    return False


@contextmanager
def answering(status: int, code: str) -> Iterator[int]:
    """Run a service that answers everything with one status and error code, in both dialects; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a secret</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("x-ms-error-code", code)
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - names of the library

        def log_message(self, *values: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
