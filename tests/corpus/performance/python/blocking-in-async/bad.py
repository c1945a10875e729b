import subprocess
import time
from time import sleep
from urllib.request import urlopen

import requests


async def wait():
    time.sleep(1)  # expect: blocking-in-async


async def wait_again(seconds):
    sleep(seconds)  # expect: blocking-in-async


async def page(url):
    return requests.get(url, timeout=5).text  # expect: blocking-in-async


async def opened(url):
    with urlopen(url) as answer:  # expect: blocking-in-async
        return answer.read()


class Worker:
    async def run(self, command):
        return subprocess.run(command, check=True)  # expect: blocking-in-async
