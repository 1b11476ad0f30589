"""The agent as the control plane sees it: what it applies, what it reports, and what it does when things fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from opencen.gateway import agent as agent_module
from opencen.gateway import statefile
from opencen.gateway.agent import Agent
from opencen.gateway.attachment import DeclaredNetwork
from opencen.gateway.follow import ControlPlaneError
from opencen.gateway.kernel import operations as ops
from opencen.gateway.kernel.fake import Delivery, FakeKernel
from opencen.gateway.plan import Site
from opencen.wire.gateway import (
    TEST_RATE_BPS,
    Capabilities,
    GatewayReport,
    GatewayState,
    Hello,
    InstanceReport,
    InstanceState,
    LinkState,
    NetworkState,
    ReportAnswer,
    Welcome,
)

SITE = Site("gw-1", "100.64.0.1", [DeclaredNetwork("web", "lan0", "10.1.0.1/24")], leaf_queue="bfifo")
CAPABILITIES = Capabilities(kernel="6.1", leaf_queue="bfifo", encryption="none")
NAMESPACE = "gw-1-cen-a"
EAST_SCOPE = ops.Scope(NAMESPACE, "to-east")


class FakeControlPlane:
    """Answers polls with what the test puts in; keeps what the agent says. `reachable` False: nobody answers."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[GatewayState] = asyncio.Queue()
        self.reachable = True
        self.asked_after: list[int] = []
        self.beats: list[GatewayReport] = []
        self.hellos: list[Hello] = []
        self.reports: list[GatewayReport] = []

    def _answer(self) -> None:
        if not self.reachable:
            raise ControlPlaneError("nobody there")

    async def hello(self, hello: Hello) -> Welcome:
        self._answer()
        self.hellos.append(hello)
        return Welcome(gateway_id="gw-1", region_id="west")

    async def state(self, after: int, wait_s: int, held: GatewayState | None = None) -> GatewayState:
        self._answer()
        self.asked_after.append(after)
        return await self.news.get()

    async def report(self, report: GatewayReport) -> ReportAnswer:
        self._answer()
        self.reports.append(report)
        return ReportAnswer(revision=report.applied_revision)

    async def beat(self, report: GatewayReport) -> None:
        self._answer()
        self.beats.append(report)

    def last(self, cen_id: str = "cen-a") -> InstanceReport | None:
        found = [item for report in self.reports for item in report.instances if item.cen_id == cen_id]
        return found[-1] if found else None


def state(revision: int, rate_bps: int, *, full: bool = True, cen_ids: tuple[str, ...] = ("cen-a",)) -> GatewayState:
    link = LinkState(
        peer_region_id="east", vni=1, peer_endpoint="100.64.0.2", remote_cidr_blocks=["10.2.0.0/16"], rate_bps=rate_bps
    )
    network = NetworkState(network_id="vpc-1", name="web", cidr_blocks=["10.1.0.0/16"])
    instances = [
        InstanceState(cen_id=cen_id, revision=revision, networks=[network], links=[link]) for cen_id in cen_ids
    ]
    return GatewayState(gateway_id="gw-1", region_id="west", revision=revision, full=full, instances=instances)


async def until(condition: Callable[[], object], timeout_s: float = 5) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - anything may be waited for
            await asyncio.sleep(0.005)


class Setting:
    """An agent with a fake kernel and control plane."""

    def __init__(self, folder: Path, kernel: FakeKernel | None = None) -> None:
        self.folder = folder
        self.kernel = kernel or FakeKernel(interfaces={"lan0"})
        self.server = FakeControlPlane()
        self.agent: Agent

    def run(self, scenario: Callable[[Setting], Awaitable[None]]) -> None:
        async def play() -> None:
            self.agent = Agent(SITE, CAPABILITIES, self.kernel, self.server, self.folder)
            stop = asyncio.Event()
            running = asyncio.create_task(self.agent.run(stop))
            try:
                await scenario(self)
            finally:
                stop.set()
                await running

        asyncio.run(play())

    def rate_in_kernel_bps(self) -> int | None:
        delivery = self.kernel.answer(NAMESPACE, "10.2.0.1")
        return delivery.rate_bps if delivery else None


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "CHECK_S", 0.05)


def test_it_registers_applies_reads_back_and_acknowledges(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(7, 10_000_000))
        await until(lambda: s.server.reports)
        report = s.server.reports[0]
        assert report.applied_revision == 7
        assert report.instances[0].links[0].in_kernel_bps == 10_000_000
        assert report.instances[0].networks[0].carried
        assert s.kernel.answer(NAMESPACE, "10.2.0.1") == Delivery("to-east", 10_000_000)
        await until(lambda: len(s.server.asked_after) == 2)

    setting.run(scenario)
    assert setting.server.asked_after == [0, 7]
    assert setting.server.hellos[0].declared_networks[0].network == "web"
    assert setting.rate_in_kernel_bps() == 10_000_000, "a stop leaves the kernel as it is"


def test_a_delta_touches_only_what_it_names(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000, cen_ids=("cen-a", "cen-b")))
        await until(lambda: s.server.reports)
        s.kernel.applied.clear()
        await s.server.news.put(state(2, 5_000_000, full=False))
        await until(lambda: len(s.server.reports) == 2)

    setting.run(scenario)
    assert {operation.scope for operation in setting.kernel.applied} == {EAST_SCOPE}
    assert [item.cen_id for item in setting.server.reports[1].instances] == ["cen-a"]


def test_a_removed_instance_is_removed_and_said_to_be(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000))
        await until(lambda: s.server.reports)
        gone = GatewayState(gateway_id="gw-1", region_id="west", revision=2, full=False, removed_cen_ids=["cen-a"])
        await s.server.news.put(gone)
        await until(lambda: s.server.last() and s.server.last().removed)  # type: ignore[union-attr]

    setting.run(scenario)
    assert setting.kernel.namespaces == {}
    assert setting.kernel.interfaces == {"lan0"}


def test_a_kernels_refusal_is_reported_for_its_link(setting: Setting) -> None:
    setting.kernel.refuse = lambda o: "No buffer space" if isinstance(o, ops.AddFilter) else None

    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000))
        await until(lambda: s.server.reports)

    setting.run(scenario)
    link = setting.server.reports[0].instances[0].links[0]
    assert link.error == "AddFilter: No buffer space"
    assert link.in_kernel_bps == TEST_RATE_BPS


def test_a_lower_revision_is_not_obeyed(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(7, 10_000_000))
        await until(lambda: s.server.reports)
        await s.server.news.put(state(3, 1_000_000))
        await until(lambda: len(s.server.asked_after) == 3)

    with capture_logs() as logs:
        setting.run(scenario)
    assert setting.rate_in_kernel_bps() == 10_000_000
    assert any(entry["event"] == "revision went backwards: not applied" for entry in logs)
    assert {report.applied_revision for report in setting.server.reports} == {7}


def test_a_restart_does_not_make_it_obey_an_older_revision(setting: Setting, tmp_path: Path) -> None:
    statefile.save(tmp_path, state(7, 10_000_000))

    async def scenario(s: Setting) -> None:
        for _ in range(2):
            await s.server.news.put(state(3, 1_000_000))
        await until(lambda: len(s.server.asked_after) == 3)

    with capture_logs() as logs:
        setting.run(scenario)
    assert setting.rate_in_kernel_bps() == 10_000_000
    assert any("accept-revision 3" in entry.get("reason", "") for entry in logs), "says what the operator can do"
    saved = statefile.load(tmp_path, "gw-1")
    assert saved is not None
    assert saved.revision == 7


def test_an_older_revision_is_applied_once_after_an_operator_has_accepted_it(setting: Setting, tmp_path: Path) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(7, 10_000_000))
        await until(lambda: s.server.reports)
        statefile.accept(tmp_path, statefile.Acceptance(3, instead_of=7))
        await s.server.news.put(state(2, 500_000))  # older than what was accepted
        await s.server.news.put(state(4, 1_000_000))
        await until(lambda: s.server.reports[-1].applied_revision == 4)
        assert s.rate_in_kernel_bps() == 1_000_000
        asked = len(s.server.asked_after)
        await s.server.news.put(state(3, 500_000))
        await until(lambda: len(s.server.asked_after) > asked)

    setting.run(scenario)
    assert setting.rate_in_kernel_bps() == 1_000_000, "the acceptance was used up"
    assert statefile.acceptance(tmp_path) is None
    assert setting.server.asked_after[:3] == [0, 7, 0], "a complete state is asked for"


def test_a_revision_that_changes_nothing_here_is_saved_too(setting: Setting, tmp_path: Path) -> None:
    """What an operator accepts is compared with the saved revision: it must be the one that the agent holds."""

    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(7, 10_000_000))
        await s.server.news.put(state(9, 10_000_000, full=False, cen_ids=()))
        await until(lambda: s.server.reports and s.server.reports[-1].applied_revision == 9)

    setting.run(scenario)
    saved = statefile.load(tmp_path, "gw-1")
    assert saved is not None
    assert saved.revision == 9
    assert [instance.cen_id for instance in saved.instances] == ["cen-a"]


def test_an_acceptance_that_makes_no_sense_accepts_nothing(tmp_path: Path) -> None:
    statefile.accept(tmp_path, statefile.Acceptance(3, instead_of=7))
    assert statefile.acceptance(tmp_path) == statefile.Acceptance(3, instead_of=7)
    for nonsense in ("", "[]", '{"revision": 3}', '{"revision": "x", "instead_of": 7}'):
        (tmp_path / "accepted-revision.json").write_text(nonsense)
        assert statefile.acceptance(tmp_path) is None


@pytest.mark.usefixtures("quick_checks")
def test_what_somebody_changed_by_hand_is_repaired_and_counted(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000))
        await until(lambda: s.server.reports)
        s.kernel.apply([ops.DeleteFilters(EAST_SCOPE, 1, 3)])
        await until(lambda: s.server.reports[-1].repairs > 0)

    with capture_logs() as logs:
        setting.run(scenario)
    assert setting.rate_in_kernel_bps() == 10_000_000
    assert any(entry["event"] == "repaired the kernel" and "add filter" in str(entry) for entry in logs)
    drift = [event for report in setting.server.reports for event in report.drift]
    assert [(event.cen_id, event.part, event.found) for event in drift] == [("cen-a", "east", "a filter was missing")]


def test_without_the_control_plane_it_applies_the_saved_state(setting: Setting, tmp_path: Path) -> None:
    statefile.save(tmp_path, state(5, 10_000_000))
    setting.server.reachable = False

    async def scenario(s: Setting) -> None:
        await until(lambda: s.rate_in_kernel_bps() == 10_000_000)
        s.server.reachable = True
        await s.server.news.put(state(6, 2_000_000))
        await until(lambda: s.rate_in_kernel_bps() == 2_000_000)
        await until(lambda: s.server.reports and s.server.reports[-1].applied_revision == 6)

    setting.run(scenario)
    assert setting.server.asked_after[0] == 0, "the first answer must be complete"


def test_the_saved_state_is_in_the_kernel_before_the_control_plane_is_asked(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statefile.save(tmp_path, state(5, 10_000_000))
    rates_at_hello_bps: list[int | None] = []
    hello = setting.server.hello

    async def observed(said: Hello) -> Welcome:
        rates_at_hello_bps.append(setting.rate_in_kernel_bps())
        return await hello(said)

    monkeypatch.setattr(setting.server, "hello", observed)

    async def scenario(s: Setting) -> None:
        await until(lambda: s.server.hellos)

    setting.run(scenario)
    assert rates_at_hello_bps == [10_000_000]


def test_a_corrupt_saved_state_is_reported_and_ignored(setting: Setting, tmp_path: Path) -> None:
    (tmp_path / statefile.NAME).write_text("nonsense")
    setting.server.reachable = False

    async def scenario(s: Setting) -> None:
        await asyncio.sleep(0.3)  # a few failed attempts
        s.server.reachable = True
        await s.server.news.put(state(6, 2_000_000))
        await until(lambda: s.rate_in_kernel_bps() == 2_000_000)

    with capture_logs() as logs:
        setting.run(scenario)
    events = [entry["event"] for entry in logs]
    assert "saved state is ignored" in events
    assert events.count("control plane does not answer") == 1, "said once, not at every attempt"


def test_losing_the_control_plane_changes_nothing_in_the_kernel(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000))
        await until(lambda: s.server.reports)
        s.kernel.applied.clear()
        s.server.reachable = False
        await s.server.news.put(state(1, 10_000_000))  # ends the poll under way
        await asyncio.sleep(0.3)
        assert s.kernel.applied == []
        s.server.reachable = True
        await until(lambda: len(s.server.hellos) == 2)

    setting.run(scenario)


def test_a_restart_changes_nothing(setting: Setting, tmp_path: Path) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000))
        await until(lambda: s.server.reports)

    setting.run(scenario)
    setting.kernel.applied.clear()
    ifindex = setting.kernel.namespaces[NAMESPACE].tunnels["to-east"].ifindex
    Setting(tmp_path, setting.kernel).run(scenario)
    assert setting.kernel.applied == []
    assert setting.kernel.namespaces[NAMESPACE].tunnels["to-east"].ifindex == ifindex


def test_a_state_that_makes_no_sense_is_not_applied_and_does_not_end_the_agent(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000, cen_ids=("cen-../x",)))
        await s.server.news.put(state(2, 5_000_000))
        await until(lambda: s.server.reports)

    setting.run(scenario)
    assert setting.rate_in_kernel_bps() == 5_000_000


def test_networks_declared_while_it_runs_are_carried(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        s.kernel.interfaces.add("lan1")
        await s.server.news.put(state(1, 10_000_000))
        await until(lambda: s.server.reports)
        await s.agent.redeclare(Site("gw-1", "100.64.0.1", [DeclaredNetwork("vpc-1", "lan1", "10.1.0.1/24")], "bfifo"))
        await until(lambda: len(s.server.reports) == 2)

    setting.run(scenario)
    assert setting.server.hellos[-1].declared_networks[0].interface == "lan1"
    assert set(setting.kernel.namespaces[NAMESPACE].ports) == {"lan1"}
    assert setting.kernel.interfaces == {"lan0"}


def test_nothing_is_acknowledged_before_it_is_saved(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an agent killed in between would start without the control plane at a rate that others were given."""
    saved_at_report: list[int] = []
    report = setting.server.report

    async def remembering(said: GatewayReport) -> ReportAnswer:
        saved = statefile.load(setting.folder, "gw-1")
        saved_at_report.append(saved.revision if saved else 0)
        return await report(said)

    monkeypatch.setattr(setting.server, "report", remembering)

    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(7, 10_000_000))
        await until(lambda: s.server.reports)
        await s.server.news.put(state(8, 5_000_000, full=False))
        await until(lambda: len(s.server.reports) == 2)

    setting.run(scenario)
    assert saved_at_report == [7, 8]


def test_a_state_that_cannot_be_saved_takes_the_older_one_with_it(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(7, 10_000_000))
        await until(lambda: s.server.reports)
        monkeypatch.setattr(statefile, "save", full_disk)
        await s.server.news.put(state(8, 5_000_000, full=False))
        await until(lambda: len(s.server.reports) == 2)

    setting.run(scenario)
    assert statefile.load(setting.folder, "gw-1") is None


def test_an_instance_that_an_earlier_run_removed_is_still_reported_as_gone(setting: Setting) -> None:
    """The agent died between removing it and saying so: the server still counts what it held."""

    async def scenario(s: Setting) -> None:
        gone = state(9, 10_000_000).model_copy(update={"instances": [], "removed_cen_ids": ["cen-gone"]})
        await s.server.news.put(gone)
        await until(lambda: s.server.reports)

    setting.run(scenario)
    assert [(item.cen_id, item.removed) for item in setting.server.reports[0].instances] == [("cen-gone", True)]


def test_another_history_is_refused_also_when_its_revision_is_later_and_obeyed_once_accepted(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(5, 10_000_000))
        await until(lambda: s.server.reports)
        restored = state(9, 4_000_000).model_copy(update={"continues": False})
        await s.server.news.put(restored)
        await until(lambda: statefile.diverges(s.folder))
        assert s.rate_in_kernel_bps() == 10_000_000
        statefile.accept(s.folder, statefile.Acceptance(9, instead_of=5))
        await s.server.news.put(restored)
        await until(lambda: s.rate_in_kernel_bps() == 4_000_000)
        await until(lambda: not statefile.diverges(s.folder))

    setting.run(scenario)


def test_a_gateway_with_a_partner_beats_and_one_that_is_told_to_stand_by_passes_nothing(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        active = state(1, 10_000_000).model_copy(update={"partner_key": "00" * 32, "role_since": 1})
        await s.server.news.put(active)
        await until(lambda: len(s.server.beats) >= 2)
        assert s.server.beats[-1].instances == []
        moved = active.model_copy(update={"revision": 2, "role_since": 2, "standby": True})
        await s.server.news.put(moved)
        await until(lambda: s.kernel.answer(NAMESPACE, "10.2.0.1") is None)
        await s.server.news.put(active.model_copy(update={"revision": 3, "role_since": 3}))
        await until(lambda: s.kernel.answer(NAMESPACE, "10.2.0.1") is not None)

    setting.run(scenario)


def test_alone_a_gateway_does_not_beat(setting: Setting) -> None:
    async def scenario(s: Setting) -> None:
        await s.server.news.put(state(1, 10_000_000))
        await until(lambda: s.server.reports)
        await asyncio.sleep(0.7)  # longer than a heartbeat's interval
        assert s.server.beats == []

    setting.run(scenario)
