"""An upload of 10 GB through kills of the server and of the page at random moments. By hand: scripts/checks/console large_upload

UPLOAD_GB is its size [10], UPLOAD_KILLS how often something is killed [12], UPLOAD_SEED the seed of the moments [1]. The disk holds the file
and, for a while, what has come of it.
"""

import base64
import filecmp
import json
import os
import random
import re
import shutil
import signal
import struct
import time

import clips
from dropping import Console, done, row_of, share

GIGABYTE = 10**9
MEGABYTE = 1 << 20
NAME = "large.mp4"


def crc32c_table():
    """Castagnoli's polynomial, bit by bit: an implementation of its own, which the command's is compared with."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


def crc32c(path):
    """Of a file whose megabytes are one byte each, but for the first: equal megabytes are computed once."""
    table, known = crc32c_table(), {}

    def of(data, crc):
        for byte in data:
            crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
        return crc

    # A CRC is linear: what a megabyte of zeros does to each bit of the register, and to it what the megabyte does to a register of zero.
    bits = [of(bytes(MEGABYTE), 1 << bit) for bit in range(32)]

    crc = 0xFFFFFFFF
    with path.open("rb") as file:
        crc = of(file.read(os.stat(path).st_size % MEGABYTE), crc)
        while data := file.read(MEGABYTE):
            if data not in known:
                known[data] = of(data, 0)
            moved = known[data]
            for bit in range(32):
                if crc >> bit & 1:
                    moved ^= bits[bit]
            crc = moved
    return base64.b64encode(struct.pack(">I", crc ^ 0xFFFFFFFF)).decode()


def made(clip, path, size):
    """The clip, and after it a box that holds nothing, whose length takes 64 bits."""
    content = clip.read_bytes()
    padding = size - len(content) - 16
    with path.open("wb") as out:
        out.write(content)
        out.write(struct.pack(">I4sQ", 1, b"free", padding + 16))
        out.write(bytes(padding % MEGABYTE))
        for part in range(padding // MEGABYTE):
            out.write(bytes([part * 7 % 251]) * MEGABYTE)


def large_upload(browser, data, address):
    size = int(float(os.environ.get("UPLOAD_GB", "10")) * GIGABYTE)
    kills = int(os.environ.get("UPLOAD_KILLS", "12"))
    moments = random.Random(int(os.environ.get("UPLOAD_SEED", "1")))
    folder = data.folder / "large"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    video = folder / NAME
    made(data.clips / "ntsc.mp4", video, size)
    console = Console(data.command, folder / "data")
    started = time.monotonic()
    # From one moment to the next it takes as long as it takes.
    browser.context.set_default_timeout(3_600_000)
    try:
        page = browser.page
        page.goto(console.start())
        page.locator("input[type=file]").set_input_files(video)
        for at in sorted(moments.uniform(0.02, 0.98) for _ in range(kills)):
            share(page, NAME, at, polling=500)
            if moments.random() < 0.5:
                console.kill()
                page.get_by_text("The console does not answer").wait_for()
                # Another page brings the cookie of the new token: the one that sends goes on.
                other = browser.opened()
                other.goto(console.start())
                other.close()
                print(f"console: the server killed after {at:.1%}", flush=True)
            else:
                gone, page = page, browser.opened()
                browser.page = page
                gone.close()
                page.goto(f"http://127.0.0.1:{console.port}/")
                row_of(page, NAME).get_by_text("This page does not send it").wait_for()
                page.locator("input[type=file]").set_input_files(video)
                print(f"console: the page killed after {at:.1%}", flush=True)
        done(page, NAME)
        print(f"console: {size / GIGABYTE:.1f} GB in {time.monotonic() - started:.0f} s, with {kills} kills", flush=True)
        request = re.search(r"/request/(\w+)", row_of(page, NAME).get_by_role("link", name=NAME).get_attribute("href"))[1]
        own = json.loads(console.run("show", "--json", request))
        assert own["source"]["bytes"] == size, own["source"]
        assert own["source"]["crc32c"] == crc32c(video), own["source"]
        stored = [path for path in (folder / "data").rglob("*") if path.is_file() and path.stat().st_size == size]
        assert stored and all(filecmp.cmp(path, video, shallow=False) for path in stored), stored
        browser.complaints[:] = [one for one in browser.complaints if "Failed to load resource" not in one]
    finally:
        if console.process and console.process.poll() is None:
            assert console.kill(signal.SIGINT) == 0, "Ctrl-C ends it"
        shutil.rmtree(folder, ignore_errors=True)
