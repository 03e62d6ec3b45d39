"""Every integration, without a list to keep: what `ls dags/` shows is what the contracts are held against."""

from __future__ import annotations

from tests.support.declarations import dag_files, slot_integrations


def pytest_generate_tests(metafunc) -> None:
    """A test that asks for ``slug`` runs once for each integration; for ``slot_slug``: that decides about slots."""
    if "slug" in metafunc.fixturenames:
        metafunc.parametrize("slug", sorted(dag_files()), scope="module")
    if "slot_slug" in metafunc.fixturenames:
        metafunc.parametrize("slot_slug", slot_integrations(), scope="module")
