"""Runs work without a known bound in a process that can be stopped: rules and schemas on large values.

Operators write rules and schemas, callers write the values, and the libraries that evaluate them limit neither time nor
memory. So each process of the service has a child process, started when it is first needed. The child has a limit of
processor time for each task, enforced by a signal that ends it whatever it is doing, and a limit of memory. It yields
to the processes that serve callers, and exits when its parent does. A child that exceeds a limit is replaced.
"""

import asyncio
import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from hyperfleet.errors import DeadlineExceeded
from hyperfleet.model.rules.mapping import Question, compiled
from hyperfleet.model.schemas.spec_schema import SpecSchema
from hyperfleet.store.database import DEADLINE
from hyperfleet.telemetry import logging, metrics

MEMORY: Final = 128 << 20
"""Bytes that a task may take in addition to what the child already uses."""

LOAD_SECONDS: Final = 30.0
"""Processor time for compiling a program, which the service has compiled once at its start."""

LONGEST_SECONDS: Final = 10.0
"""How long a task may take by the clock, on a machine that gives the child little processor time."""

MOST_PROGRAMS: Final = 256
_NICENESS: Final = 10
_GROWN: Final = 64 << 20
_UNLIMITED_WAIT: Final = 60.0

_log = logging.get("confinement")
_HEAD: Final = struct.Struct("!cI")
_LENGTH: Final = struct.Struct("!I")
_PART, _END, _LAST, _NO_MEMORY = b"p", b"e", b"l", b"m"

Task = Literal["conditions", "spec"]


class Program(NamedTuple):
    """Rules or a schema, written by an operator. `source` is pickled for the child once; `key` identifies both."""

    task: Task
    key: Hashable
    source: Any


class Overrun(Exception):
    """The task exceeded its `limit`; `parts` are the results until then."""

    def __init__(self, limit: Literal["time", "memory"], parts: tuple[bytes, ...]) -> None:
        super().__init__(limit)
        self.limit = limit
        self.parts = parts


async def run(program: Program, value: bytes, *, seconds: float) -> tuple[bytes, ...]:
    """The results of a program on a value, within `seconds` of processor time.

    Raises Overrun, and DeadlineExceeded when the child is too busy to finish before the request's deadline.
    """
    return await _of_this_loop().run(program, value, seconds)


def stop() -> None:
    """Ends the child of the running event loop, if there is one."""
    found = _children.pop(asyncio.get_running_loop(), None)
    if found is not None:
        found.end()


class _Child:
    """The child process and the queue of its tasks."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._known: dict[Hashable, int] = {}
        self._finalizer: Any = None

    async def run(self, program: Program, value: bytes, seconds: float) -> tuple[bytes, ...]:
        result = "waited"
        try:
            async with asyncio.timeout(_remaining()):
                async with self._turn:
                    result = "stopped"
                    parts = await self._run(program, value, seconds)
                    result = "done"
                    return parts
        except Overrun as overrun:
            result = overrun.limit
            raise
        except TimeoutError:
            raise DeadlineExceeded(
                "Timed out: this body takes long to validate, and other requests came first."
            ) from None
        finally:
            metrics.count_confined(program.task, result)

    async def _run(self, program: Program, value: bytes, seconds: float) -> tuple[bytes, ...]:
        if self._process is None or self._process.poll() is not None or len(self._known) >= MOST_PROGRAMS:
            self.end()
            await self._start()
        parts: list[bytes] = []
        is_over = False
        try:
            async with asyncio.timeout(LONGEST_SECONDS + (0 if program.key in self._known else LOAD_SECONDS)):
                await self._send(program, value, seconds)
                tag, part = await self._next()
                while tag == _PART:
                    parts.append(part)
                    tag, part = await self._next()
            if tag == _NO_MEMORY:
                raise Overrun("memory", tuple(parts))
            is_over = tag == _END
        except TimeoutError:
            raise Overrun("time", tuple(parts)) from None
        except OSError:
            raise Overrun(self._cause(), tuple(parts)) from None
        finally:
            if not is_over:
                self.end()
        return tuple(parts)

    async def _send(self, program: Program, value: bytes, seconds: float) -> None:
        assert self._socket is not None
        number = self._known.get(program.key)
        source = None
        if number is None:
            number, source = len(self._known), (program.task, program.source)
        message = await asyncio.to_thread(pickle.dumps, (number, source, value, seconds))
        await asyncio.get_running_loop().sock_sendall(self._socket, _LENGTH.pack(len(message)) + message)
        self._known[program.key] = number

    async def _next(self) -> tuple[bytes, bytes]:
        """The next message: a result, or the end of the results."""
        tag, length = _HEAD.unpack(await self._read(_HEAD.size))
        return tag, await self._read(length)

    async def _read(self, size: int) -> bytes:
        assert self._socket is not None
        loop, parts = asyncio.get_running_loop(), []
        while size:
            part = await loop.sock_recv(self._socket, min(size, 1 << 20))
            if not part:
                raise ConnectionResetError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _cause(self) -> Literal["time", "memory"]:
        """Why the child exited on its own: the timer's signal, or else a library that ran out of memory.

        Raises RuntimeError when the child failed otherwise, which is a bug.
        """
        assert self._process is not None
        status = self._process.wait(timeout=5)
        _log.warning("a check was stopped", pid=self._process.pid, status=status)
        if status >= 0:
            raise RuntimeError(f"the child process for {__name__} exited with status {status}")
        return "time" if status == -signal.SIGPROF else "memory"

    async def _start(self) -> None:
        launch = asyncio.get_running_loop().run_in_executor(None, _launched)
        try:
            process, ours = await asyncio.shield(launch)
        except asyncio.CancelledError:
            # No task waits for this child any more, and the next task starts another.
            launch.add_done_callback(_abandoned)
            raise
        self._process, self._socket, self._known = process, ours, {}
        self._finalizer = weakref.finalize(self, _ended, process, ours)

    def end(self) -> None:
        """Ends the child now."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._socket = self._finalizer = None
        self._known = {}


_Launched = tuple["subprocess.Popen[bytes]", socket.socket]


def _launched() -> _Launched:
    """A new child, and the parent's end of the channel to it."""
    ours, its = socket.socketpair()
    with its:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
            stdin=its.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**environment, "PYTHONPATH": path},
        )
    ours.setblocking(False)
    return process, ours


def _abandoned(launch: "asyncio.Future[_Launched]") -> None:
    if not launch.cancelled() and launch.exception() is None:
        _ended(*launch.result())


def _ended(process: "subprocess.Popen[bytes]", ours: socket.socket) -> None:
    ours.close()
    process.kill()
    process.wait()


_children: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Child] = weakref.WeakKeyDictionary()


def _of_this_loop() -> _Child:
    loop = asyncio.get_running_loop()
    found = _children.get(loop)
    if found is None:
        found = _children[loop] = _Child()
    return found


def _remaining() -> float:
    deadline = DEADLINE.get(None)
    return _UNLIMITED_WAIT if deadline is None else max(deadline - asyncio.get_running_loop().time(), 0)


# The rest of this module runs in the child.


def main() -> None:
    """Runs the tasks of the parent, which is at the other end of standard input, until the parent exits."""
    parent = socket.socket(fileno=os.dup(0))
    os.nice(_NICENESS)
    _be_the_first_to_go()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    programs: dict[int, Callable[[bytes], Iterator[bytes]]] = {}
    least = _size()
    while True:
        head = _received(parent, _LENGTH.size)
        number, source, value, seconds = pickle.loads(_received(parent, *_LENGTH.unpack(head)))
        if source is not None:
            signal.setitimer(signal.ITIMER_PROF, LOAD_SECONDS)
            task, written = source
            programs[number] = _LOADERS[task](written)
            least = max(least, _size())
        end = _served(parent, programs[number], value, seconds)
        if end == _END and _size() > least + _GROWN:
            # Only the end of the process frees the memory that the libraries keep after a large task.
            end = _LAST
        parent.sendall(_HEAD.pack(end, 0))


def _served(parent: socket.socket, program: Callable[[bytes], Iterator[bytes]], value: bytes, seconds: float) -> bytes:
    resource.setrlimit(resource.RLIMIT_AS, (_size() + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        for part in program(value):
            parent.sendall(_HEAD.pack(_PART, len(part)) + part)
        end = _END
    except MemoryError:
        end = _NO_MEMORY
    signal.setitimer(signal.ITIMER_PROF, 0)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return end


def _received(parent: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = parent.recv(min(size - len(found), 1 << 20))
        if not part:
            os._exit(0)
        found += part
    return bytes(found)


def _size() -> int:
    """Bytes of address space of this process; 0 on systems that neither report nor limit them."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _be_the_first_to_go() -> None:
    """Makes the kernel kill this process before the workers when memory runs out."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return


def _conditions(rules: Any) -> Callable[[bytes], Iterator[bytes]]:
    mapper = compiled(rules)
    decode = msgspec.json.Decoder(tuple[msgspec.Raw, tuple[msgspec.Raw, ...]]).decode

    def answers(value: bytes) -> Iterator[bytes]:
        found, reports = decode(value)
        facts = mapper.facts(Question(rules, bytes(found), tuple(map(bytes, reports))))
        yield from (msgspec.json.encode(answer or ()) for answer in mapper.answers(facts))

    return answers


def _spec(component: Any) -> Callable[[bytes], Iterator[bytes]]:
    schema = SpecSchema.of(component)

    def faults(value: bytes) -> Iterator[bytes]:
        yield msgspec.json.encode(schema.faults(msgspec.json.decode(value)))

    return faults


_LOADERS: Final[dict[str, Callable[[Any], Any]]] = {"conditions": _conditions, "spec": _spec}
