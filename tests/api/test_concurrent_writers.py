"""Eight writers at once over real HTTP end exactly at the cap, on SQLite and on PostgreSQL."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from opencen.client import ApiError, Client, ServerUnreachableError
from rest_scenario import make_scenario
from servers import ServerProcess, running_server

WRITERS = 8
CHINESE = ("cn-hangzhou", "cn-shanghai", "cn-shenzhen")
ROUNDS = 25


def _in_parallel(count: int, work: object) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)  # type: ignore[operator]
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_writers_that_all_want_more_than_there_is_end_exactly_at_the_cap(
    tmp_path: Path, database_url: str | None
) -> None:
    """Each raises a pair of its own by 1 until it is refused: what is granted in the end is the package, to the bit."""
    with running_server(tmp_path / "data", database_url) as server, server.client() as client:
        scenario = make_scenario(client, bandwidth_mbps=50)
        refusals = []

        def write(number: int) -> None:
            pair = ("us-west-1", CHINESE[number % 3])
            with server.client() as own:
                while True:
                    path = scenario.path(*pair)
                    try:
                        item = own.get(path)
                        mbps, seen = item["bandwidth_mbps"] + 1, f'"{item["version"]}"'
                    except ApiError:
                        mbps, seen = 1, '"0"'
                    try:
                        own.request("PUT", path, body={"bandwidth_mbps": mbps}, if_match=seen)
                    except ApiError as refusal:
                        if refusal.code == "EditConflict":
                            continue
                        assert refusal.code == "BandwidthExceeded", refusal.detail
                        assert refusal.problem["free_mbps"] == 0
                        refusals.append(number)
                        return

        _in_parallel(WRITERS, write)
        assert sorted(refusals) == list(range(WRITERS))
        assert sum(scenario.connections().values()) == 50
        assert scenario.package()["allocated_mbps"] == 50


def test_sets_and_deletes_at_random_never_exceed_the_package(tmp_path: Path, database_url: str | None) -> None:
    with running_server(tmp_path / "data", database_url) as server, server.client() as client:
        scenario = make_scenario(client)
        done = []

        def write(number: int) -> None:
            with server.client() as own:
                for turn in range(ROUNDS):
                    pair = ("us-west-1", CHINESE[(number + turn) % 3])
                    try:
                        if (number * 7 + turn) % 4 == 0:
                            own.delete(scenario.path(*pair))
                        else:
                            mbps = (number * 5 + turn * 3) % 19 + 1
                            own.request("PUT", scenario.path(*pair), body={"bandwidth_mbps": mbps})
                        done.append(pair)
                    except ApiError as refusal:
                        assert refusal.code in {"BandwidthExceeded", "NotFound"}, refusal.detail
                    package = own.get(f"/v1/bandwidth-packages/{scenario.package_id}")
                    assert package["allocated_mbps"] <= 20

        _in_parallel(WRITERS, write)
        assert len(done) > ROUNDS
        assert sum(scenario.connections().values()) == scenario.package()["allocated_mbps"]


def test_what_was_answered_is_there_after_kill_9_in_the_middle_of_writing(
    tmp_path: Path, database_url: str | None
) -> None:
    server = ServerProcess(tmp_path / "data", database_url)
    try:
        server.start()
        with server.client() as client:
            scenario = make_scenario(client, bandwidth_mbps=10_000)
        answered: dict[str, int] = {}

        def write(number: int) -> None:
            region_id = CHINESE[number]
            with Client(server.url, server.credential, timeout_s=10) as own:
                for mbps in range(1, 3_000):
                    try:
                        own.request("PUT", scenario.path("us-west-1", region_id), body={"bandwidth_mbps": mbps})
                    except ServerUnreachableError:
                        return
                    answered[region_id] = mbps
                    if number == 0 and mbps == 30:
                        server.stop(signal.SIGKILL)

        _in_parallel(len(CHINESE), write)
        server.check()
        server.start()
        with server.client() as client:
            scenario = type(scenario)(client, scenario.cen_id, scenario.package_id, scenario.network_ids)
            found = {pair[0]: mbps for pair, mbps in scenario.connections().items()}
        for region_id, mbps in answered.items():
            assert found[region_id] in (mbps, mbps + 1), "the last one sent may have been committed, but not answered"
    finally:
        server.stop()
    server.check()
