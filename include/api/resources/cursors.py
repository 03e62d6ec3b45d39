"""Cursors: where the next page begins. Encrypted, and good only for the request that they were given to.

A place may be behind a row that the client must not hear of: a draft's slot, or a person of another department. So
nothing of it can be read or made up: AES-GCM with the database's own key, bound to the request as associated data.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from include.api.problems import wrong_parameters

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from include.api.reader import Reader

_NONCE_BYTES = 12
#: Places are filled up to so many bytes, since their length would tell that of a key.
_BLOCK_BYTES = 128

_ciphers: dict[str, AESGCM] = {}  # by the address of the database


@dataclass(frozen=True, slots=True)
class Cursors:
    """Writes and reads the cursors of one request; ``bound_to`` is all that the next must have in common with it."""

    cipher: AESGCM
    bound_to: bytes

    def write(self, place: tuple[str | int, ...]) -> str:
        """Write the cursor of a place."""
        content = json.dumps(place, ensure_ascii=False, separators=(",", ":")).encode()
        content += b" " * (-len(content) % _BLOCK_BYTES)
        nonce = token_bytes(_NONCE_BYTES)
        return urlsafe_b64encode(nonce + self.cipher.encrypt(nonce, content, self.bound_to)).rstrip(b"=").decode()

    def read(self, text: str, *shape: type) -> tuple[Any, ...]:
        """The place of a cursor, whose parts are of the types of ``shape``.

        Raises:
            Problem: 400, the cursor is damaged, or was given to another request.
        """
        from cryptography.exceptions import InvalidTag

        wrong = wrong_parameters(
            [("cursor", "is not of this request: send the last answer's, with the same filters, or begin anew without")]
        )
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            place = json.loads(self.cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self.bound_to))
        except (binascii.Error, InvalidTag, ValueError):
            raise wrong from None
        if not isinstance(place, list) or [type(part) for part in place] != list(shape):
            raise wrong
        return tuple(place)


def cursors_of(reader: Reader, bound_to: str) -> Cursors:
    """The cursors of one request. The key is read once per process.

    Raises:
        SourceNotReady: the database could not be read.
    """
    cipher = _ciphers.get(reader.dsn)
    if cipher is None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        with reader.one_statement() as cursor:
            [(key,)] = cursor.execute("SELECT key FROM api.cursor_key").fetchall()
        cipher = _ciphers[reader.dsn] = AESGCM(bytes(key))
    return Cursors(cipher, bound_to.encode())
