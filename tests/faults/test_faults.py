"""A few rounds of the fault harness; `make faults` runs many."""

from __future__ import annotations

import pytest

from conftest import missing
from faults.rounds import Course
from faults.site import Site
from servers import postgres_binaries

ROUNDS = 3


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_nothing_acknowledged_is_lost_and_the_cap_holds_whatever_dies(kind: str) -> None:
    if kind == "postgresql" and postgres_binaries() is None:
        missing("PostgreSQL is not installed: apt-get install postgresql")
    site = Site(kind)
    try:
        course = Course(site)
        course.prepare()
        acknowledged = 0
        for seed in range(ROUNDS):
            finished = course.run(seed)
            assert finished.found == (), finished
            acknowledged += finished.acknowledged
        assert acknowledged > 20
        site.servers[0].check()
    finally:
        site.close()


def test_a_write_that_the_database_forgot_is_found() -> None:
    """The harness itself: what was acknowledged is changed behind the servers' back."""
    site = Site("sqlite")
    try:
        course = Course(site)
        course.prepare()
        with site.servers[0].client() as client:
            client.request("PATCH", f"/v1/bandwidth-packages/{course.package_id}", body={"bandwidth_mbps": 59})
        (found,) = [sentence for sentence in course._found() if "acknowledged" in sentence]
        assert "is 59, which is none of [40]" in found
    finally:
        site.close()
