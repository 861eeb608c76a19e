"""Runs a server, and ends it with all its processes when the process that started this is gone.

python server_guard.py COMMAND...

Standard input is a pipe that the starter holds open and writes nothing to: it closes with the
starter, however that ends. The server gets a process group of its own. The exit status is the
server's, 128 and the number for a signal. Only the standard library: it is run as a file.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE = 10.0


def main(command: list[str]) -> int:
    """Run the command to its end, or to the starter's."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def end(*_: object) -> None:
        _signal_group(server.pid, signal.SIGTERM)
        threading.Timer(GRACE, _signal_group, (server.pid, signal.SIGKILL)).start()

    def wait_for_starter() -> None:
        while os.read(0, 1024):
            pass
        end()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    threading.Thread(target=wait_for_starter, daemon=True).start()
    status = server.wait()
    # Processes of the group that were left would keep the memory and the port.
    _signal_group(server.pid, signal.SIGKILL)
    return 128 - status if status < 0 else status


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
