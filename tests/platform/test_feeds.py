"""Which feeds `make run` waits for: the mappings whose integration has a Dag file, and why another has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.platform.feeds import Feed, configured_feeds
from include.settings import PROJECT_ROOT, mappings_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_mappings_all_have_a_dag_file() -> None:
    feeds = configured_feeds(mappings_folder(), PROJECT_ROOT / "dags")
    assert {"epic_on_call_finder", "kronos_workforce_dimensions"} <= {feed.name for feed in feeds}
    assert [feed for feed in feeds if feed.fault] == []


def test_a_wrong_mapping_takes_only_its_own_feed_away(tmp_path: Path) -> None:
    mappings, dags = tmp_path / "mappings", tmp_path / "dags"
    mappings.mkdir()
    dags.mkdir()
    (dags / "epic_on_call_finder.py").touch()
    (mappings / "north.yaml").write_text("integration: epic_on_call_finder\npersonnel_id: custom1\n")
    (mappings / "broken.yaml").write_text("integration: [\n")
    (mappings / "other.yaml").write_text("integration: kronos_workforce_dimensions\npersonnel_id: custom2\n")
    feeds = {feed.name: feed for feed in configured_feeds(mappings, dags)}
    assert set(feeds) == {"north", "broken", "other"}
    assert feeds["north"] == Feed("north", "epic_on_call_finder")
    assert "broken.yaml" in feeds["broken"].fault
    assert "dags/kronos_workforce_dimensions.py does not exist" in feeds["other"].fault
