import asyncio
import subprocess
import time
from time import monotonic

import requests


async def wait():
    await asyncio.sleep(1)


async def yielding():
    time.sleep(0)


def plain():
    time.sleep(1)


async def page(url):
    def fetch():
        return requests.get(url, timeout=5)

    return await asyncio.to_thread(fetch)


async def handed_on(command):
    return await asyncio.to_thread(subprocess.run, command)


async def client(session, url):
    return await session.get(url)


async def own(clock):
    started = monotonic()
    clock.sleep(1)
    return started


async def shadowed(time):
    time.sleep(1)
