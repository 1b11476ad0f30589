"""The gateway agent: keeps the kernel as the control plane wants it, and tells what the kernel has.

It fails static: without the control plane, on a refusal and when it stops, the kernel stays as it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog

from opencen import __version__
from opencen.client import ApiError, ServerUnreachableError
from opencen.gateway import drift, statefile
from opencen.gateway.converge import Converger, Round
from opencen.gateway.credential import CredentialError
from opencen.gateway.exposition import LinkMetrics
from opencen.gateway.follow import (
    HEARTBEAT_S,
    WAIT_S,
    Condition,
    ControlPlane,
    ControlPlaneError,
    InUseError,
    RefusedError,
    StaleStateError,
    backoff_s,
    merge,
)
from opencen.gateway.kernel.operations import ROUTINE, DeleteNamespace, Kernel, Scope
from opencen.gateway.keys import KeyStore
from opencen.gateway.partner import Announcer, Fence, PortAt, beacon, heard_since, ports_of
from opencen.gateway.plan import Site, namespace_name
from opencen.gateway.rolling import Rolling
from opencen.gateway.wording import in_words
from opencen.wire.gateway import (
    Capabilities,
    CarriedNetwork,
    DriftEvent,
    GatewayReport,
    GatewayState,
    Hello,
    InstanceReport,
    InstanceState,
)

CHECK_S: Final = 5.0
WATCHED_S: Final = 1.0
_LISTEN_S: Final = 1.0
_DRIFT_KEPT: Final = 1_000
_PAUSE_S: Final = 0.05
_REPLACED_S: Final = 3.0
"""How long a rebooted gateway that has a partner waits for word who is active, before it goes on as it was."""

Result = TypeVar("Result")
log = structlog.get_logger()


class Agent:
    """Composes follower, converger and reporter. One kernel thread, so that a large change delays no answer."""

    def __init__(
        self,
        site: Site,
        capabilities: Capabilities,
        kernel: Kernel,
        control_plane: ControlPlane,
        state_dir: Path,
        keys: KeyStore | None = None,
        clock: Callable[[], float] = time.monotonic,
        rotate: Callable[[], None] | None = None,
    ) -> None:
        self.metrics = LinkMetrics()
        self._site = site
        self._capabilities = capabilities
        self._converger = Converger(kernel, keys)
        self._control_plane = control_plane
        self._state_dir = state_dir
        self._clock = clock
        self._rotate = rotate
        self._kernel_thread = ThreadPoolExecutor(1, thread_name_prefix="kernel")
        self._lock = asyncio.Lock()
        self._wake_reporter = asyncio.Event()
        self._state: GatewayState | None = None
        self._saved: GatewayState | None = None
        self._state_is_from_server = False
        self._must_say_hello = True
        self._watched = False
        self._repairs = 0
        self._drift: list[DriftEvent] = []
        self._by_id: tuple[GatewayState | None, dict[str, InstanceState]] = (None, {})
        self._rolling = Rolling()
        self._touched: dict[str, InstanceReport] = {}
        self._removed: set[str] = set()
        self._must_acknowledge = False
        self._fence = Fence()
        self._announcer = Announcer()
        self._ports: dict[str, frozenset[PortAt]] = {}
        self._announce_now = asyncio.Event()
        self._refused: dict[str, str] = {}
        self._kernel_condition = Condition("kernel")
        self._rotation_condition = Condition("credential")

    @property
    def state(self) -> GatewayState | None:
        """What the kernel was last made to be."""
        return self._state

    @property
    def watched(self) -> bool:
        """Whether somebody looks at live figures."""
        return self._watched

    def on_trimmed(self, tell: Callable[[Scope, int], None]) -> None:
        """Have `tell` told, in the kernel's thread, of packets that a change of a limit dropped."""
        self._converger.on_trimmed = tell

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then leave the kernel as it is."""
        works = (self._follow(), self._report(), self._beat(), self._announce(), self._watch_kernel())
        tasks = [asyncio.create_task(work) for work in works]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            for task in [*tasks, stopped]:
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)
            self._kernel_thread.shutdown(wait=True)
            self._announcer.close()
            log.info("stopped", kernel="left as it is")

    async def redeclare(self, site: Site) -> None:
        """The operator's configuration has changed: carry the networks that it declares now."""
        self._site = site
        log.info("configuration read again", networks=len(site.networks))
        try:
            await self._say_hello()
        except ControlPlaneError:
            self._must_say_hello = True
        if self._state is not None:
            await self._apply(self._state, None, why="the declared networks were read again")

    # following

    async def _follow(self) -> None:
        condition = Condition("control plane")
        stale = Condition("revision")
        failures = 0
        self._saved = self._load_saved()
        if not await self._may_have_been_replaced():
            await self._resume()
        while True:
            try:
                state, news = await self._ask()
            except ControlPlaneError as error:
                is_refused = isinstance(error, RefusedError)
                event = "revoked or unknown: kernel left as it is" if is_refused else "control plane does not answer"
                condition.trouble(event, str(error))
                self._must_say_hello = True
                await self._resume()
                if self._fence.refused(in_use=isinstance(error, InUseError), at_s=self._clock()):
                    await self._put_up_fence("another host uses this gateway's credential")
            except StaleStateError as error:
                stale.trouble("revision went backwards: not applied", str(error))
                await self._resume()
            else:
                condition.fine()
                stale.fine()
                if await self._take(state, news):
                    failures = 0
                    continue
            failures += 1
            await asyncio.sleep(backoff_s(failures))

    async def _ask(self) -> tuple[GatewayState, GatewayState]:
        """All that is wanted now, and the answer that told it. Raises ControlPlaneError, StaleStateError."""
        waits_to_resume = self._state is None and self._saved is not None
        try:
            async with asyncio.timeout(_REPLACED_S if waits_to_resume else None):
                if self._must_say_hello:
                    await self._say_hello()
                after = self._state.revision if self._state and self._state_is_from_server else 0
                # the first answer is wanted at once, later ones when there is something new
                news = await self._control_plane.state(after, WAIT_S if after else 0, self._state or self._saved)
        except TimeoutError as error:
            raise ControlPlaneError(f"no answer within {_REPLACED_S:g} s") from error
        if news.gateway_id != self._site.gateway_id:
            raise ControlPlaneError(f"the answer is for {news.gateway_id}, not for {self._site.gateway_id}")
        self._check_not_behind(news)
        return merge(self._state if self._state_is_from_server else None, news), news

    async def _may_have_been_replaced(self) -> bool:
        """After a reboot, the active gateway of a pair asks first who is active now: its partner may be."""
        saved = self._saved
        if saved is None or saved.partner_key is None or saved.standby:
            return False
        return not (await self._in_kernel_thread(self._converger.kernel.read)).namespaces

    async def _say_hello(self) -> None:
        declared = [CarriedNetwork(network=item.network, interface=item.interface) for item in self._site.networks]
        hello = Hello(
            agent_version=__version__,
            endpoint=self._site.endpoint,
            behind_nat=self._site.behind_nat,
            capabilities=self._capabilities,
            declared_networks=declared,
            knows_roles=True,
        )
        welcome = await self._control_plane.hello(hello)
        self._must_say_hello = False
        log.info("registered", gateway=welcome.gateway_id, region=welcome.region_id)

    async def _take(self, state: GatewayState, news: GatewayState) -> bool:
        """Apply an answer that holds something new. Whether that went well."""
        first = not self._state_is_from_server
        before = self._state
        if news.watched and not self._watched:
            self._wake_reporter.set()
        self._watched = news.watched
        unfenced = self._fence.take_down(news.role_since)
        moved = unfenced or (before is not None and before.standby != state.standby)
        if not first and before is not None and state.revision == before.revision and not moved:
            self._state = state
            # a server that does not wait must not be asked without end
            await asyncio.sleep(_PAUSE_S)
            return True
        if not moved and not news.full and not news.instances and not news.removed_cen_ids:
            await self._in_kernel_thread(lambda: self._save(state))
            self._state = state
            self._must_acknowledge = True
            self._wake_reporter.set()
            return True
        if moved:
            log.warning("this gateway is the standby now" if state.standby else "this gateway is the active one now")
        touched = None if news.full or moved else [*(i.cen_id for i in news.instances), *news.removed_cen_ids]
        gone_cen_ids = news.removed_cen_ids
        why = f"the control plane is at revision {state.revision}"
        if not await self._apply(state, touched, why=why, gone_before=before, removed_cen_ids=gone_cen_ids, save=True):
            return False
        self._state_is_from_server = True
        if before is not None and (state.revision < before.revision or not news.continues):
            log.warning("older revision applied, as accepted", revision=state.revision, before=before.revision)
            statefile.forget_acceptance(self._state_dir)
        return True

    def _check_not_behind(self, news: GatewayState) -> None:
        """Raises StaleStateError for an older revision, unless an operator has accepted it.

        A complete state is asked for next: changes to a state that the control plane has forgotten would be of no use.
        """
        held = self._state or self._saved
        if held is None or (news.continues and news.revision >= held.revision):
            return
        acceptance = statefile.acceptance(self._state_dir)
        if news.full and acceptance is not None and acceptance.covers(held.revision, news.revision):
            return
        self._state_is_from_server = False
        with suppress(OSError):
            statefile.note_divergence(self._state_dir, news.revision)
        raise StaleStateError(news.revision, held.revision)

    def _load_saved(self) -> GatewayState | None:
        try:
            return statefile.load(self._state_dir, self._site.gateway_id)
        except statefile.CorruptStateError as error:
            log.error("saved state is ignored", reason=str(error))  # noqa: TRY400
            return None

    async def _resume(self) -> None:
        """Before the control plane is asked: after a reboot, limits and tunnels do not wait for it."""
        if self._state is None and self._saved is not None:
            log.info("applying the saved state", revision=self._saved.revision)
            await self._apply(self._saved, None, why="the saved state does not wait for the control plane")

    def _save(self, state: GatewayState) -> None:
        """Before anything of it is acknowledged: a restart must not bring back a rate that others were given."""
        try:
            statefile.save(self._state_dir, state)
        except OSError as error:
            log.error("state could not be saved, the older one is removed", reason=str(error))  # noqa: TRY400
            statefile.remove(self._state_dir)

    # applying

    async def _apply(
        self,
        state: GatewayState,
        cen_ids: Sequence[str] | None,
        *,
        why: str,
        gone_before: GatewayState | None = None,
        removed_cen_ids: Sequence[str] = (),
        save: bool = False,
    ) -> bool:
        """Put a state into the kernel, all of it or the named instances, and have the reporter acknowledge it.

        False: the kernel could not be read, or the state makes no sense; nothing is acknowledged.
        """
        async with self._lock:
            began = self._clock()
            try:
                done = await self._converge(state, cen_ids)
                if save:
                    await self._in_kernel_thread(lambda: self._save(state))
            except (OSError, ValueError) as error:
                self._kernel_condition.trouble("state could not be applied", str(error))
                return False
            self._kernel_condition.fine()
            self._state = state
            self._note_ports(done, complete=cen_ids is None)
            gone = {instance.cen_id for instance in (gone_before.instances if gone_before else ())}
            self._note_removed(state, gone.union(cen_ids or (), removed_cen_ids), done)
            for instance in state.instances:
                if cen_ids is None or instance.cen_id in cen_ids:
                    self._note(instance.cen_id, done)
            took_ms = round((self._clock() - began) * 1000, 1)
            count, changed = len(done.operations), in_words(done.operations)
            log.info("applied", revision=state.revision, why=why, operations=count, changed=changed, took_ms=took_ms)
            self._log_refusals(done)
        self._wake_reporter.set()
        return True

    def _note_removed(self, state: GatewayState, gone: set[str], done: Round) -> None:
        """What the kernel no longer has must be said, also when an earlier run of the agent removed it."""
        prefix = namespace_name(self._site.gateway_id, "")
        deleted = {o.scope.namespace.removeprefix(prefix) for o in done.operations if isinstance(o, DeleteNamespace)}
        refused = {scope.namespace.removeprefix(prefix) for scope in done.refused}
        wanted = {instance.cen_id for instance in state.instances}
        self._removed = (self._removed | deleted | gone) - wanted - refused
        self.metrics.forget_all_but(wanted)

    def _note(self, cen_id: str, done: Round) -> None:
        if self._state is None:
            return
        instance = self._instances()[cen_id]
        report = self._converger.report(self._state.region_id, instance, done, self._clock())
        self._touched[cen_id] = report
        self.metrics.note(report)

    def _instances(self) -> dict[str, InstanceState]:
        """What is wanted, by instance; made once for each state."""
        if self._by_id[0] is not self._state:
            listed = self._state.instances if self._state else []
            self._by_id = (self._state, {instance.cen_id: instance for instance in listed})
        return self._by_id[1]

    async def _converge(self, state: GatewayState, cen_ids: Sequence[str] | None) -> Round:
        site = self._site
        state = self._fence.around(state)
        return await self._in_kernel_thread(lambda: self._converger.converge(state, site, cen_ids))

    async def _in_kernel_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._kernel_thread, work)

    def _log_refusals(self, done: Round) -> None:
        refused = {f"{scope.namespace} {scope.part}".strip(): reason for scope, reason in done.refused.items()}
        for where, reason in refused.items():
            if self._refused.get(where) != reason:
                log.error("the kernel refused", where=where, reason=reason)
        self._refused = refused

    # beside a partner

    def _note_ports(self, done: Round, *, complete: bool) -> None:
        found = {name: ports_of({name: there}) for name, there in done.plan.namespaces.items()}
        self._ports = found if complete else self._ports | found
        self._announce_now.set()

    async def _put_up_fence(self, reason: str) -> None:
        """This gateway must pass nothing, whatever it was last told."""
        log.error("fenced: tunnels down, no address on any port", reason=reason)
        if self._state is not None:
            await self._apply(self._state, None, why=reason)

    async def _beat(self) -> None:
        """Say to the control plane that this gateway is alive, for as long as it has a partner."""
        while True:
            began_s = self._clock()
            state = self._state or self._saved  # a run that has just begun may take long to look at a large kernel
            if state is not None and state.partner_key is not None:
                report = GatewayReport(
                    applied_revision=state.revision, repairs=self._repairs, epoch=state.epoch or None
                )
                with suppress(ControlPlaneError):
                    await self._control_plane.beat(report)
            await asyncio.sleep(max(_PAUSE_S, HEARTBEAT_S - (self._clock() - began_s)))

    async def _announce(self) -> None:
        """Say on the networks that this gateway is the active one, and listen for a partner that is so by now."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._announce_now.wait(), HEARTBEAT_S)
            self._announce_now.clear()
            state = self._state
            if state is None or state.partner_key is None:
                self._announcer.close()
                continue
            key, ports = bytes.fromhex(state.partner_key), [port for there in self._ports.values() for port in there]
            passes = not self._fence.around(state).standby
            since = await asyncio.to_thread(self._exchange, key, state.role_since, ports, speaks=passes)
            if passes and since is not None and since > state.role_since:
                self._fence.partner_is_active(since)
                await self._put_up_fence(f"the partner is the active gateway since revision {since}")

    def _exchange(self, key: bytes, role_since: int, ports: Sequence[PortAt], *, speaks: bool) -> int | None:
        """Listen, and unless a later change of places was heard of, announce; that change's revision."""
        own_id = self._site.gateway_id
        self._announcer.keep(ports)
        since = self._announcer.hear(lambda payload: heard_since(key, own_id, payload))
        if speaks and (since is None or since <= role_since):
            self._announcer.announce(ports, beacon(key, own_id, role_since))
        return since

    # reporting

    async def _report(self) -> None:
        condition = Condition("reports")
        failures = 0
        next_check_s = self._clock() + CHECK_S
        while True:
            due_s = min(next_check_s, self._clock() + WATCHED_S) if self._watched else next_check_s
            wait_s = backoff_s(failures) if failures and self._touched else max(0.0, due_s - self._clock())
            await self._woken_within(wait_s)
            if self._clock() >= due_s:
                await self._check()
                next_check_s = self._clock() + CHECK_S
            if not self._must_acknowledge and not self._touched and not self._removed:
                continue
            try:
                await self._send()
            except ControlPlaneError as error:
                failures += 1
                condition.trouble("report was not taken", str(error))
            else:
                failures = 0
                condition.fine()

    async def _woken_within(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake_reporter.wait(), wait_s)
        self._wake_reporter.clear()

    async def _watch_kernel(self) -> None:
        """Repair at once where the kernel says that somebody else has changed something."""
        while True:
            await asyncio.sleep(_LISTEN_S)
            async with self._lock:
                try:
                    changed = await self._in_kernel_thread(self._converger.kernel.changed)
                except OSError as error:
                    self._kernel_condition.trouble("kernel could not be listened to", str(error))
                    continue
            if changed:
                prefix = namespace_name(self._site.gateway_id, "")
                await self._check([name.removeprefix(prefix) for name in sorted(changed)])
                self._wake_reporter.set()

    async def _check(self, cen_ids: Sequence[str] | None = None) -> None:
        """Compare the kernel with what is wanted, repair what differs, and have it reported.

        These instances, or else as many as it is the turn of: all, where they are few.
        """
        async with self._lock:
            state = self._state
            if state is None:
                return
            everyone = [instance.cen_id for instance in state.instances]
            chosen = self._rolling.next(everyone) if cen_ids is None else list(cen_ids)
            began_s = self._clock()
            try:
                done = await self._converge(state, None if len(chosen) == len(everyone) else chosen)
            except OSError as error:
                self._kernel_condition.trouble("kernel could not be checked", str(error))
                return
            self._kernel_condition.fine()
            repaired = [
                operation
                for operation in done.operations
                if operation.scope not in done.refused and not isinstance(operation, ROUTINE)
            ]
            if repaired:
                self._repairs += len(repaired)
                why = "the kernel was not as it was left: somebody else has changed it"
                log.warning("repaired the kernel", why=why, changed=in_words(repaired))
                self._drift += drift.events(repaired, state, done.plan.port_names, datetime.now(UTC))
                del self._drift[:-_DRIFT_KEPT]
            self._log_refusals(done)
            self._rolling.took(len(chosen), self._clock() - began_s)
            for cen_id in set(chosen).intersection(everyone):
                self._note(cen_id, done)

    async def _send(self) -> None:
        if self._state is None:
            return
        touched, removed, drifted = dict(self._touched), set(self._removed), list(self._drift)
        gone = [
            InstanceReport(cen_id=cen_id, revision=self._state.revision, removed=True) for cen_id in sorted(removed)
        ]
        report = GatewayReport(
            applied_revision=self._state.revision,
            instances=[*touched.values(), *gone],
            repairs=self._repairs,
            epoch=self._state.epoch or None,
            drift=drifted,
        )
        answer = await self._control_plane.report(report)
        self._watched = answer.watched
        if answer.rotate_credential and self._rotate is not None:
            await self._rotate_credential(self._rotate)
        self._removed -= removed
        self._drift = [event for event in self._drift if event not in drifted]
        self._must_acknowledge = self._state.revision != report.applied_revision
        for cen_id, sent in touched.items():
            if self._touched.get(cen_id) is sent:
                del self._touched[cen_id]

    async def _rotate_credential(self, rotate: Callable[[], None]) -> None:
        """An operator wants a new one. What fails is tried again after the next report."""
        try:
            await asyncio.to_thread(rotate)
        except (ApiError, ServerUnreachableError, CredentialError, OSError) as error:
            self._rotation_condition.trouble("credential not rotated", str(error))
        else:
            self._rotation_condition.fine()
            log.info("credential rotated", reason="an operator asked for it")
