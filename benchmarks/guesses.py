"""Strangers who guess passwords: many logins at once, each from an address of its own.

One process of its own, since the load must not take its time from who measures:

    python -m benchmarks.guesses PORT PATH COUNT

It writes a line when all of them have asked, and goes on until its input ends.
"""

import asyncio
import base64
import sys

#: Guesses after each of which a stranger comes from another address; ten are let through.
PER_ADDRESS = 8
#: Seconds that a stranger waits who was told to come later, as Retry-After says.
PAUSE = 2.0


def _head(path: str, port: int, name: str, guess: str) -> bytes:
    login = base64.b64encode(f"{name}:{guess}".encode()).decode()
    lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Authorization: Basic {login}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def _address(stranger: int, guesses: int) -> str:
    """Another one of 127.0.0.0/8 for each stranger, and each few guesses."""
    number = guesses // PER_ADDRESS
    return f"127.{1 + stranger // 250}.{number % 250}.{1 + stranger % 250}"


class Strangers:
    """All of them."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self._port, self._path, self._count = port, path, count
        self._asked = 0

    async def run(self) -> None:
        """Guess for ever."""
        await asyncio.gather(*(self._guess(number) for number in range(self._count)))

    async def _guess(self, stranger: int) -> None:
        guesses = 0
        while True:
            status = await self._try(stranger, guesses)
            guesses += 1
            if status not in (401, 503):
                raise SystemExit(f"a guess was answered {status}")
            if status == 503:
                await asyncio.sleep(PAUSE)

    async def _try(self, stranger: int, guesses: int) -> int:
        source = (_address(stranger, guesses), 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=source)
        try:
            guess = f"guess-{stranger}-{guesses}"
            writer.write(_head(self._path, self._port, "alice", guess))
            self._note()
            answer = await reader.read()
            return int(answer[9:12])
        finally:
            writer.close()

    def _note(self) -> None:
        self._asked += 1
        if self._asked == self._count:
            print("begun", flush=True)


async def main(port: int, path: str, count: int) -> None:
    """Guess until the input ends."""
    work = asyncio.ensure_future(Strangers(port, path, count).run())
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        work.result()
    work.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
