"""How the processes of a run that know each other by flags come together, before JAX joins them.

JAX ends a process without an error where they do not fit each other, and lets a process that is
not of a run end that run. So they meet before, at the same address: process 0 listens until each
of the others has said, in a line of JSON, who it is, and then lets all of them go on, or none.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

from absl import logging

_SAID_AFTER = 10.0  # seconds until a process says that it waits
_LINE_SECONDS = 5.0  # for a line of who has connected
_LONGEST = 4096  # bytes of a line


class Member(NamedTuple):
    """What a process knows of its run.

    Attributes:
      coordinator: "host:port" of process 0, as it was given.
      num_processes: how many there are.
      process_id: which of them this one is.
    """

    coordinator: str
    num_processes: int
    process_id: int

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of process 0."""
        host, _, port = self.coordinator.rpartition(":")
        return host.strip("[]"), int(port)


def meet(member: Member, seconds: float) -> None:
    """Returns once all processes of the run are there.

    Args:
      member: this process.
      seconds: how long it waits for the others.

    Raises:
      ValueError: in all that have come, if they do not fit each other; if something else uses the
        address.
      ConnectionError: if not all come in time.
    """
    if member.num_processes == 1:
        return
    with _saying(member, seconds):
        end = time.monotonic() + seconds
        if member.process_id == 0:
            _host(member, end)
        else:
            _visit(member, end)


@contextlib.contextmanager
def _saying(member: Member, seconds: float) -> Generator[None]:
    """Says that this process waits, if it does."""
    timer = threading.Timer(
        _SAID_AFTER,
        logging.warning,
        (
            "process %d waits until all %d have come to %s, up to %d s.",
            member.process_id, member.num_processes, member.coordinator, seconds,
        ),
    )  # fmt: skip
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _host(member: Member, end: float) -> None:
    """What process 0 does."""
    with _listening(member) as server, contextlib.ExitStack() as stack:
        came: dict[int, socket.socket] = {}
        problem: Exception | None = None
        while problem is None and len(came) < member.num_processes - 1:
            server.settimeout(max(0.01, end - time.monotonic()))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                problem = _missing(member, came)
                break
            stack.enter_context(connection)
            came = {number: other for number, other in came.items() if not _is_gone(other)}
            if (hello := _hello(connection)) is None:
                connection.close()
                continue
            number, count = hello
            if count != member.num_processes:
                problem = ValueError(
                    f"process {number} was started with --num_processes={count}, but process 0 "
                    f"with --num_processes={member.num_processes}: give all the same number."
                )
            elif not 0 < number < count or number in came:
                problem = ValueError(
                    f"two processes were started with --process_id={number}: give each its own, "
                    f"from 0 to {count - 1}."
                )
            came[number if problem is None else -1] = connection
        for connection in came.values():
            _tell(connection, {"problem": problem and str(problem)})
    if problem is not None:
        raise problem


def _visit(member: Member, end: float) -> None:
    """What the other processes do: they come to process 0, as soon as it is there."""
    reason: object = "process 0 did not answer"
    while (left := end - time.monotonic()) > 0:
        try:
            with socket.create_connection(member.address, timeout=min(left, 10)) as connection:
                _tell(connection, {"process_id": member.process_id, "of": member.num_processes})
                answer = _line(connection, max(0.01, end - time.monotonic()))
        except OSError as error:
            reason = error.strerror or error
            time.sleep(min(left, 0.5))
            continue
        if not answer:  # process 0 ended, and may be started again
            time.sleep(min(left, 0.5))
            continue
        try:
            problem = json.loads(answer)["problem"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"--coordinator={member.coordinator}: something else listens there, such as "
                "another run, or this one, which has already begun. Give a port that is free on "
                "the machine of process 0, and start all processes of a run anew."
            ) from error
        if problem is None:
            return
        raise ValueError(problem)
    raise ConnectionError(
        f"process {member.process_id} did not meet the others at {member.coordinator} ({reason}): "
        f"start all {member.num_processes} processes at the same time; --coordinator must be an "
        "address of the machine of process 0 that all machines reach."
    )


def _listening(member: Member) -> socket.socket:
    """Alone at the port: JAX would crash there, or share it with another run."""
    _, port = member.address
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=dual)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ValueError(
            f"--coordinator={member.coordinator}: process 0 cannot listen at port {port} of its "
            f"machine ({reason}). Give all processes another port; if an earlier start of this "
            "run is still there, end that first."
        ) from error


def _missing(member: Member, came: Mapping[int, socket.socket]) -> ConnectionError:
    numbers = [str(number) for number in range(1, member.num_processes) if number not in came]
    return ConnectionError(
        f"of {member.num_processes} processes, these have not come to {member.coordinator}: "
        f"{', '.join(numbers)}. Start all at the same time, with the same --num_processes; "
        "--coordinator must be an address of the machine of process 0 that all machines reach."
    )


def _hello(connection: socket.socket) -> tuple[int, int] | None:
    """The number of who has connected, and how many it thinks there are; None: not one of us."""
    try:
        said = json.loads(_line(connection, _LINE_SECONDS))
        return int(said["process_id"]), int(said["of"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tell(connection: socket.socket, what: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):  # gone: JAX will say so
        connection.sendall(json.dumps(what).encode() + b"\n")


def _line(connection: socket.socket, seconds: float) -> bytes:
    """What comes until a line break or the end of the connection; raises an `OSError` if late."""
    connection.settimeout(seconds)
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST:
        if not (more := connection.recv(_LONGEST)):
            break
        line += more
    return line


def _is_gone(connection: socket.socket) -> bool:
    """Whether who has connected has left again: it says nothing more while it waits."""
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
