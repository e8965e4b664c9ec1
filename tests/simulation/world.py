"""A mesh: its machines, its network, its phones, and how it is checked as a whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Final

from meshbox.core.ids import NodeId
from meshbox.identity.key import Identity
from meshbox.sync.transport import FrameStream
from tests.simulation.checks import MachineWatch, check_blame, check_wants, lacked
from tests.simulation.clocks import MachineClock, TrueTime
from tests.simulation.disk import Disk
from tests.simulation.loop import Owner
from tests.simulation.network import Link, Network, SimulatedTransport
from tests.simulation.node import Machine, identity_of
from tests.simulation.phone import Phone
from tests.simulation.schedule import Ends, Schedule
from tests.simulation.store import CheckedStore
from tests.simulation.stranger import Manner, Stranger
from tests.simulation.truth import Book, Truth

PHONES: Final = 3


class World:
    """One mesh. What happens to it is said by the events of its schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.seed = f"seed {schedule.seed}"
        self.time = TrueTime()
        self.truth = Truth(self.time, is_calm=schedule.is_calm)
        self.network = Network(self.seed)
        self.phones = [Phone(f"phone {number}", self.truth) for number in range(PHONES)]
        self.machines: list[Machine] = []
        self._schedule = schedule
        self._joined: list[tuple[Machine, Machine]] = []
        """Who is to know each other when all is well."""
        self._backups: dict[str, tuple[Disk, Book, Identity]] = {}
        self._identities = 0
        self._tasks: list[asyncio.Task[Any]] = []

    async def open(self) -> None:
        """All nodes run, and know whom the schedule says."""
        for number in range(self._schedule.nodes):
            name = f"n{number}"
            machine = self._add(name, self._disk(name), Book(), identity=self._new_identity())
            if number and self._schedule.way_out:
                machine.ways_out = (self.machines[0].node_id,)
            await self.start(machine)
        self._joined = [
            (self.machines[one], self.machines[other]) for one, other in self._schedule.links
        ]
        self._join()

    def machine(self, number: int) -> Machine:
        return self.machines[number % len(self.machines)]

    def link(self, ends: Ends) -> Link:
        one, other = (self.machine(end) for end in ends)
        return self.network.link(one.name, other.name)

    def meet(self, ends: Ends) -> None:
        """Two nodes hear of each other."""
        one, other = (self.machine(end) for end in ends)
        one.knows(other)
        other.knows(one)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Does `work` beside everything else, as a part of no process."""
        self._tasks.append(asyncio.create_task(work, context=Context()))

    def later(self, delay_s: float, work: Callable[[], Awaitable[None] | None]) -> None:
        """Does `work` after a while, beside everything else."""

        async def wait_and_work() -> None:
            await asyncio.sleep(delay_s)
            done = work()
            if done is not None:
                await done

        self.begin(wait_and_work())

    async def finish(self) -> None:
        """What was begun, or is to be done later, is done; what failed in it is raised."""
        while self._tasks:
            await self._tasks.pop()

    async def start(self, machine: Machine) -> None:
        """Starts a machine that is off, and looks whether its disk kept what was promised."""
        if machine.is_off:
            await self._start(machine)

    async def visit(self, machine: Machine, manner: Manner) -> None:
        """A stranger meets a node, and misbehaves: it dials, or is announced and dialled."""
        identity = self._new_identity()
        host = self.network.host(f"stranger {self._identities}")
        rng = random.Random(f"{self.seed} {host.name}")
        transport = SimulatedTransport(self.network, host, identity.node_id, Owner())
        if not manner.is_dialled:
            async with transport.dial(machine.node_id, machine.host.endpoint) as stream:
                await Stranger(stream, identity, rng).visit(machine, manner)
            return

        async def answer(stream: FrameStream) -> None:
            await Stranger(stream, identity, rng).visit(machine, manner)

        await transport.listen(answer, host.endpoint)
        machine.hears_of(identity.node_id, host.endpoint)
        await asyncio.sleep(manner.stays_s)
        machine.hears_no_more_of(identity.node_id)
        self.network.unplug(host)

    def back_up(self, machine: Machine) -> None:
        """A copy of the folder, of what is durable, is put aside."""
        copy = machine.disk.copy(random.Random(f"{self.seed} backup {machine.name}"))
        self._backups[machine.name] = copy, machine.watch.book.copy(), machine.identity

    async def restore(self, machine: Machine) -> None:
        """The machine goes on with the copy that was put aside, if there is one."""
        backup = self._backups.pop(machine.name, None)
        if backup is None:
            return
        machine.crash(unsynced_kept=0)
        machine.disk, machine.watch.book, machine.identity = backup
        self.truth.copied.add(machine.name)
        await self.start(machine)
        self._announce(machine)

    async def clone(self, machine: Machine) -> None:
        """A machine with a copy of the folder appears beside the first."""
        name = f"{machine.name}'"
        if machine.process is None or name in self.network.hosts:
            return
        disk = machine.disk.copy(random.Random(f"{self.seed} disk {name}"))
        book = machine.watch.book.copy()
        clone = self._add(name, disk, book, identity=machine.identity)
        clone.clock.was_doubtful = True  # Its database tells of another machine's.
        self.truth.copied |= {machine.name, name}
        await self.start(clone)
        for ends in tuple(self._joined):
            if machine in ends:
                peer = ends[0] if ends[1] is machine else ends[1]
                self._joined.append((clone, peer))
                clone.knows(peer)
                peer.knows(clone)

    async def heal(self) -> None:
        """All faults are over: every machine runs, no two are one, and all are connected."""
        for link in self.network.links.values():
            link.heal()
        for machine in self.machines:
            if machine.disk.heal():
                machine.crash(unsynced_kept=0)
            await self.start(machine)
        await self._part_twins()
        self._join()

    def lift_limits(self) -> None:
        """There is room for everything again."""
        for machine in self.machines:
            machine.allow(None)

    async def poll_all(self) -> int:
        """Every phone asks every mailbox and uploads what that misses; how many blobs moved."""
        moved = 0
        for phone in self.phones:
            for machine in self.machines:
                moved += await phone.poll(machine, uploads=True)
        return moved

    @property
    def progress(self) -> tuple[int, int]:
        """Other numbers as soon as anything is said, or stored."""
        changes = sum(m.process.store.change for m in self.machines if m.process is not None)
        return self.network.frames, changes

    def audit(self) -> None:
        """Looks at every node."""
        for machine in self.machines:
            self.truth.broken += (f"bug: {bug}" for bug in machine.bugs)
            machine.bugs.clear()
            if machine.process is not None:
                machine.watch.audit(machine.process.store)
                check_wants(self.truth, machine.name, machine.process.sync)
                check_blame(self.truth, machine.name, machine.process.sync, self._honest())

    def _honest(self) -> set[NodeId]:
        return {machine.node_id for machine in self.machines}

    def unconnected(self) -> list[str]:
        """Which of those that know each other have no session, or have not settled everything."""
        return [
            f"{machine.name} and {peer.name} have no session"
            for machine in self.machines
            for peer in machine.peers.values()
            if not machine.is_connected(peer)
        ]

    def differences(self) -> list[str]:
        """What a node holds and one beside it has never seen, by looking at each number.

        Not beyond: what expired at the node between two does not pass it any more.
        """
        return [
            f"{other.name} lacks {lacking}"
            for pair in self._joined
            for one, other in (pair, pair[::-1])
            if one.process is not None and other.process is not None
            for lacking in self._lacking(one.process.store, other.process.store)
        ]

    def _lacking(self, holder: CheckedStore, other: CheckedStore) -> list[str]:
        known = other.records()
        return [
            f"{run.blob_class.name.lower()} blob {seq} of {record.log.author}"
            for key, record in holder.records().items()
            for run in (record.runs if key not in self.truth.crowded else ())
            for seq in lacked(other, other.as_shown(known.get(key)), run)
            if not self.truth.is_old(key, seq)
        ]

    def _join(self) -> None:
        """All that are to be connected know each other."""
        for one, other in self._joined:
            one.knows(other)
            other.knows(one)

    def _add(self, name: str, disk: Disk, book: Book, *, identity: Identity) -> Machine:
        clock = MachineClock(self.time, name)
        machine = Machine(
            self.network.host(name),
            network=self.network,
            disk=disk,
            clock=clock,
            identity=identity,
            seed=self.seed,
            watch=MachineWatch(name, self.truth, book, clock),
            on_lost=self._lost,
        )
        self.machines.append(machine)
        return machine

    def _disk(self, name: str) -> Disk:
        return Disk(random.Random(f"{self.seed} disk {name}"))

    def _new_identity(self) -> Identity:
        self._identities += 1
        return identity_of(self._identities)

    async def _start(self, machine: Machine, *, adopted_from: NodeId | None = None) -> None:
        if not await machine.start(adopted_from=adopted_from):
            self.truth.breaks("does not start", machine.name)
        elif machine.process is not None:
            machine.watch.audit_opened(machine.process.store)

    def _lost(self, machine: Machine) -> None:
        """A peer showed a node that it lost what it had told."""
        if machine.name not in self.truth.copied:
            self.truth.breaks("loss shown", f"to {machine.name}, which lost nothing")
        process = machine.process

        async def give_up() -> None:
            if machine.process is process:
                await self._become_another(machine)

        self.later(0.1, give_up)

    async def _become_another(self, machine: Machine) -> None:
        """The same database with another identity (design.md 4.11), unless the power goes."""
        former = machine.node_id
        await machine.stop()
        if not machine.is_off:
            return
        machine.identity = self._new_identity()
        await self._start(machine, adopted_from=former)
        self._announce(machine)

    def _announce(self, machine: Machine) -> None:
        """Those who know its address hear of its identity."""
        for other in self.machines:
            if machine.name in other.peers:
                other.knows(machine)

    async def _part_twins(self) -> None:
        """A clone that nobody met, and so nobody could find out, is found by its operator."""
        known: set[str] = set()
        for machine in self.machines:
            if machine.node_id in known:
                await self._become_another(machine)
            known.add(machine.node_id)
