"""Python starts here in a process that a test's fork server may run in its place.

On the path only of processes that `Project.run` starts. What is handed over are jobs' scripts,
`snakemake` and `wim`; the server has imported the large libraries before, see support/forking.py.
"""

import os
import sys

HANDED_OVER = ("/.snakemake/scripts/", "/bin/snakemake")


def is_handed_over(arguments: list[str]) -> bool:
    """Whether the server runs a command line of Python, given without the interpreter."""
    if arguments[:1] == ["-m"]:
        return arguments[1] == "snakemake" or arguments[1].startswith("wim.")
    return bool(arguments) and any(part in arguments[0] for part in HANDED_OVER)


def hand_over(address: str, arguments: list[str]) -> int:
    """Have the server run it with this process's files, folder and environment; its exit status."""
    import json
    import signal
    import socket

    # Who is in the group of this process gets the signals that are sent to the group by itself.
    grouped = "WIM_TEST_FORK_GROUP" in os.environ
    request = {
        "arguments": arguments,
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "group": os.getpgid(0) if grouped else None,
    }
    message = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [len(message).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(message)
        child = int.from_bytes(server.recv(8, socket.MSG_WAITALL), "big")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(
                number, signal.SIG_IGN if grouped else lambda number, _: os.kill(child, number)
            )
        status = server.recv(8, socket.MSG_WAITALL)
    return int.from_bytes(status, "big") if status else 1


if (ADDRESS := os.environ.get("WIM_TEST_FORK_SERVER")) and is_handed_over(sys.orig_argv[1:]):
    os._exit(hand_over(ADDRESS, sys.orig_argv[1:]))
