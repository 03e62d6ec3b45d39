"""One mail server for all tests of mails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.mail_catcher import MailCatcher, mail_catcher

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailCatcher]:
    with mail_catcher(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def catcher(_mail_server: MailCatcher) -> MailCatcher:
    return _mail_server.forget()
