"""Memory of idle keep-alive connections: idle.py PORT PID COUNT PATH prints KiB of resident memory for each.

Every connection is used for one request first: that is what an idle connection of an edge has behind it.
"""

import resource
import socket
import sys
import time

WARM = 200


def resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def opened(port: int, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(request)
    answer = b""
    while b'"total"' not in answer:
        more = connection.recv(4096)
        if not more:
            sys.exit(f"closed after {answer!r}")
        answer += more
    return connection


def main() -> None:
    port, pid, count = map(int, sys.argv[1:4])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    request = f"GET {sys.argv[4]} HTTP/1.1\r\nHost: idle\r\n\r\n".encode()
    # The first connections pay for pools, arenas and page tables; they are not what we ask for.
    warm = [opened(port, request) for _ in range(WARM)]
    before = resident_kib(pid)
    idle = [opened(port, request) for _ in range(count)]
    time.sleep(0.5)
    print(f"{(resident_kib(pid) - before) / len(idle):.2f}")
    for connection in warm + idle:
        connection.close()


main()
