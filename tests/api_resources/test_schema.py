"""The OpenAPI document and the API say the same: schemathesis asks whatever it allows, and much that it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from include.api.resources.routes import RESOURCES
from tests.api_resources.conftest import api_of, write_workday_mapping
from tests.api_resources.test_pages import fill_tallies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api_resources.conftest import Api
    from tests.conftest import Database

pytestmark = pytest.mark.xdist_group("api_schema")  # its store is filled once
PATHS = ("schedules", "requests", "assignments", "personnel", "tallies", "workday/time-blocks", "workday/time-offs")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def api(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A store with a row of everything."""
    folder: Path = tmp_path_factory.mktemp("mappings")
    write_workday_mapping(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLBOARD_NOW", "2026-03-05T12:00:00-05:00")
        patch.setenv("CALLBOARD_MAPPINGS", str(folder))
        api = api_of(module_database, patch)
        for number in range(3):
            api.add_slot(f"S{number}", work_units="1.5", call_order=number)
        api.edit(
            "INSERT INTO requests (request_id, emp_id, request_type, start_date, end_date, status, submitted_at)"
            " VALUES ('R1', 'E1', 'Time Off', '2026-03-09', '2026-03-11', 'pending', now())"
        )
        fill_tallies(api, "one")
        yield api


def document(api: Api) -> dict[str, Any]:
    return json.loads(json.dumps(api.app.openapi()))


def test_the_document_describes_every_route_whole(api: Api) -> None:
    paths = document(api)["paths"]
    assert {f"/v1/{path}" for path in PATHS} <= set(paths)
    for path in PATHS:
        operation = paths[f"/v1/{path}"]["get"]
        assert operation["security"], path
        assert {"200", "304", "400", "401", "403", "429", "500", "503"} <= set(operation["responses"])
        assert "422" not in operation["responses"], "what is wrong with parameters is 400"
        assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/csv"}
        for parameter in operation["parameters"]:
            assert parameter["description"], (path, parameter)
            assert parameter["schema"]["type"] in ("string", "integer"), (path, parameter)
        if path in [resource.name for resource in RESOURCES]:
            [row, gone] = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"][
                "items"
            ]["oneOf"]
            assert all(field["description"] and "examples" in field for field in row["properties"].values())
            assert len(gone["required"]) == 3


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_the_shape_that_is_declared(api: Api, path: str) -> None:
    """The fast way bypasses pydantic: what it writes is held against the document here."""
    api.edit("UPDATE schedules SET note = note || '.' WHERE slot_id = 'S1'")
    shape = document(api)["paths"][f"/v1/{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(shape, format_checker=jsonschema.FormatChecker())
    pages = [api.page(path, limit=2)]
    if path in [resource.name for resource in RESOURCES]:
        api.add_slot("gone")
        api.edit("DELETE FROM schedules WHERE slot_id = 'gone'")
        pages.append(api.page(path, modified_since="2026-01-01T00:00:00Z"))
        assert path != "schedules" or any(row["deleted"] for row in pages[-1]["data"])
    for page in pages:
        validator.validate(page)
    if not path.startswith("workday"):
        assert pages[0]["data"], "a page without rows proves nothing"


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_asked_the_answer_is_declared(api: Api, path: str, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_asgi("/openapi.json", api.app)[f"/v1/{path}"]["GET"]

    @settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call_and_validate(checks=CHECKS)
        assert str(answer.status_code) in operation.definition.raw["responses"], "declared by itself, not as one of 4XX"

    ask()
