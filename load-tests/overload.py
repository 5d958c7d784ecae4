#!/usr/bin/env python3
"""The two ends of overload.sh: an upstream that does a fixed number of requests at once and queues the rest, and a load
that arrives at a fixed rate whatever happens, in two plans, and gives up after a second.

    overload.py upstream PORT WIDTH MILLIS
    overload.py load PORT RATE SECONDS            prints one line of JSON
"""

import asyncio
import json
import sys
import time

PATIENCE = 1.0
# Of ten requests.
PREMIUM = 2
KEYS = {"free": "sesame", "premium": "abracadabra"}


async def upstream(port, width, millis):
    """Takes everything; whoever is gone is served all the same, as most servers do."""
    places = asyncio.Semaphore(width)

    async def serve(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                async with places:
                    await asyncio.sleep(millis / 1000)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


class Plan:
    def __init__(self, name):
        self.name, self.idle = name, []
        self.sent = self.refused = self.late = self.failed = 0
        self.times = []
        self.request = (
            f"GET /orders HTTP/1.1\r\nHost: a\r\nX-Api-Key: {KEYS[name]}\r\n\r\n".encode()
        )

    async def ask(self, port):
        """One request on a connection that nobody uses; a client that gives up hangs up."""
        began = time.perf_counter()
        self.sent += 1
        writer = None
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await self.connection(port)
                writer.write(self.request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
        except TimeoutError:
            self.late += 1
        except (asyncio.IncompleteReadError, OSError, IndexError, ValueError):
            self.failed += 1
        else:
            status = head[9:12]
            if status == b"200":
                self.times.append(time.perf_counter() - began)
            elif status in (b"503", b"429"):
                self.refused += 1
            else:
                self.failed += 1
            if b"connection: close" not in head.lower():
                self.idle.append((reader, writer))
                return
        if writer is not None:
            writer.close()

    async def connection(self, port):
        while self.idle:
            reader, writer = self.idle.pop()
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
        return await asyncio.open_connection("127.0.0.1", port)

    def told(self, seconds):
        times = sorted(self.times)
        at = lambda share: round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 1)
        return {
            "offered": round(self.sent / seconds),
            "served": round(len(times) / seconds, 1),
            "refused": round(self.refused / seconds, 1),
            "late": round(self.late / seconds, 1),
            "failed": round(self.failed / seconds, 1),
            "p50": at(0.5) if times else None,
            "p99": at(0.99) if times else None,
        }


async def load(port, rate, seconds):
    plans = {name: Plan(name) for name in KEYS}
    asking = set()
    began, number = time.perf_counter(), 0
    while True:
        due = int((time.perf_counter() - began) * rate)
        for number in range(number, due):
            plan = plans["premium" if number * 7 % 10 < PREMIUM else "free"]
            task = asyncio.create_task(plan.ask(port))
            asking.add(task)
            task.add_done_callback(asking.discard)
        number = max(number, due)
        if time.perf_counter() - began >= seconds:
            break
        await asyncio.sleep(0.002)
    # What really was offered: a generator that cannot keep up must not be taken for a gateway that can.
    took = time.perf_counter() - began
    if asking:
        await asyncio.wait(asking, timeout=2 * PATIENCE)
    print(json.dumps({name: plan.told(took) for name, plan in plans.items()}))


def main():
    match sys.argv[1:]:
        case ["upstream", port, width, millis]:
            asyncio.run(upstream(int(port), int(width), float(millis)))
        case ["load", port, rate, seconds]:
            asyncio.run(load(int(port), float(rate), float(seconds)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
