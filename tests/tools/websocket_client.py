"""websockets against a gateway: text, binary, large, many, ping, close.

    websocket_client.py URL [CA]
"""

import asyncio
import os
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus


async def main():
    url, ca = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    tls = ssl.create_default_context(cafile=ca) if ca else None
    async with connect(url + "/socket", ssl=tls, max_size=2**22) as socket:
        for message in ("text ☂", b"\x00\xff", os.urandom(1_000_000), "x" * 200_000):
            await socket.send(message)
            assert await socket.recv() == message
        for number in range(200):
            await socket.send(str(number))
        for number in range(200):
            assert await socket.recv() == str(number)
        await (await socket.ping())
        await socket.close(4001, "enough")
        assert socket.close_code == 4001
    try:
        async with connect(url + "/refused", ssl=tls):
            raise AssertionError("a refused upgrade was accepted")
    except InvalidStatus as error:
        assert error.response.status_code == 403, error
    print("passed")


asyncio.run(main())
