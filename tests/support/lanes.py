"""Runs parts of the tests side by side: each lane takes the next part that nobody has taken yet."""

import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.support.outcomes import Outcome, failed, kept, total

#: For a part of which nobody knows how long it takes, in seconds: it begins early.
UNKNOWN = 60.0
#: What a process has for its cleaning up at the end, in seconds.
PATIENCE = 60.0


@dataclass(frozen=True)
class Part:
    """What one lane runs at a time.

    :ivar name: a module, or what the command runs.
    :ivar command: runs it in a process of its own, and appends its outcome to a file, whose path
        is added to it; empty: the process of the lane runs the module.
    """

    name: str
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """What became of a part.

    :ivar seconds: what it took.
    :ivar lane: the number of the lane that ran it.
    :ivar printed: all that it printed.
    """

    part: Part
    outcome: Outcome
    seconds: float
    lane: int
    printed: str


def longest_first(parts: Iterable[Part], seconds: Mapping[str, float]) -> list[Part]:
    """In this order all lanes end at about the same time.

    :param seconds: what parts are likely to take, by name.
    """
    return sorted(parts, key=lambda part: (-seconds.get(part.name, UNKNOWN), part.name))


class _Processes:
    """Starts the processes of one lane, one at a time, and interrupts the one that runs."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment, self._log = environment, log
        self._running: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._lock = threading.Lock()
        self._shown = 0

    def start(self, command: Sequence[str], *descriptors: int) -> None:
        """A terminal does not interrupt it, but the kernel does, should this process die.

        :raises InterruptedError: after :meth:`interrupt`.
        """
        with self._lock, self._log.open("ab") as log:
            if self._is_stopped:
                raise InterruptedError("nothing begins any more")
            self._running = subprocess.Popen(
                ["setpriv", "--pdeathsig", "INT", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                pass_fds=descriptors,
                start_new_session=True,
            )

    def interrupt(self) -> None:
        """Interrupt what runs; nothing begins any more."""
        with self._lock:
            self._is_stopped = True
            if self._running is not None:
                self._running.send_signal(signal.SIGINT)

    def ended(self, patience: float | None = None) -> int:
        """The exit status of what runs, once it has ended.

        :param patience: kill it after so many seconds.
        """
        assert self._running is not None
        try:
            return self._running.wait(patience)
        except subprocess.TimeoutExpired:
            self._running.kill()
            return self._running.wait()

    def printed(self) -> str:
        """What was printed since this was asked last."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(self._shown)
            text = log.read()
        self._shown += len(text)
        return text.decode(errors="replace")


class Lane:
    """A process that runs one module after the other, so that its modules share what is slow to
    start; if it dies another one follows. What has a command is a process of its own."""

    def __init__(
        self, number: int, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        """
        :param command: of the process for modules; a descriptor is added, for :func:`serve`.
        :param environment: of all that runs in the lane.
        :param folder: for its log and outcomes.
        """
        self.number, self._command = number, command
        self._tally = folder / f"lane-{number}.tally"
        self._processes = _Processes(environment, folder / f"lane-{number}.log")
        self._stream: TextIO | None = None

    def run(self, part: Part) -> Done:
        """Run one part; a death in the middle of it is a failure of it.

        :raises InterruptedError: after :meth:`interrupt`.
        """
        begun = time.monotonic()
        outcome = self._run_command(part) if part.command else self._run_module(part)
        if not any(outcome["counts"].values()):
            outcome = failed(f"{part.name}: it has no tests")
        seconds = time.monotonic() - begun
        return Done(part, outcome, seconds, self.number, self._processes.printed())

    def _run_command(self, part: Part) -> Outcome:
        self.close()  # only one process at a time
        self._tally.unlink(missing_ok=True)
        self._processes.start([*part.command, str(self._tally)])
        status = self._processes.ended()
        return total(kept(self._tally)) if self._tally.exists() else _died(part, status)

    def _run_module(self, part: Part) -> Outcome:
        stream = self._stream = self._stream or self._connected()
        try:
            print(part.name, file=stream, flush=True)
            answer = stream.readline()
        except OSError:  # it is gone
            answer = ""
        if answer:
            return json.loads(answer)  # type: ignore[no-any-return]
        self._stream = None
        return _died(part, self._processes.ended())

    def _connected(self) -> TextIO:
        near, far = socket.socketpair()
        with near, far:
            self._processes.start([*self._command, str(far.fileno())], far.fileno())
            return near.makefile("rw")

    def interrupt(self) -> None:
        """Stop what runs."""
        self._processes.interrupt()

    def close(self) -> None:
        """Let the process for modules close what its modules shared, and end."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self._processes.ended(PATIENCE)


def _died(part: Part, status: int) -> Outcome:
    return failed(f"{part.name}: its process died, with status {status}")


def serve(descriptor: int, run: Callable[[str], Outcome]) -> None:
    """The process of a lane: run one module after the other, as it is told over a socket."""
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as near, near.makefile("rw") as stream:
        for line in stream:
            print(json.dumps(run(line.strip())), file=stream, flush=True)


def run_all(
    parts: Sequence[Part], lanes: Sequence[Lane], tell: Callable[[Done], None]
) -> list[Outcome]:
    """Run all parts, in this order, in as many lanes; what was not run is a failure.

    :param tell: called for each part that is done, one at a time.
    :raises KeyboardInterrupt: on an interrupt, when all lanes have stopped.
    """
    waiting, done = queue.SimpleQueue[Part](), dict[Part, Outcome]()
    for part in parts:
        waiting.put(part)
    lock = threading.Lock()

    def note(one: Done) -> None:
        with lock:
            done[one.part] = one.outcome
            tell(one)

    ended = queue.SimpleQueue[Lane]()
    for lane in lanes:
        threading.Thread(target=_run_lane, args=(lane, waiting, note, ended)).start()
    _wait(lanes, ended)
    missing = [part for part in parts if part not in done]
    return [*done.values(), *(failed(f"{part.name}: it was not run") for part in missing)]


def _run_lane(
    lane: Lane,
    waiting: "queue.SimpleQueue[Part]",
    note: Callable[[Done], None],
    ended: "queue.SimpleQueue[Lane]",
) -> None:
    try:
        while True:
            note(lane.run(waiting.get_nowait()))
    except (queue.Empty, InterruptedError):
        pass
    finally:
        lane.close()
        ended.put(lane)


def _wait(lanes: Sequence[Lane], ended: "queue.SimpleQueue[Lane]") -> None:
    """Until all have ended. Not by joining threads, which an interrupt breaks in Python 3.11."""
    running = set(lanes)
    try:
        while running:
            running.remove(ended.get())
    except KeyboardInterrupt:
        for lane in running:
            lane.interrupt()
        while running:
            running.remove(ended.get())
        raise
