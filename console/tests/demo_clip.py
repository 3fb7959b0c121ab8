"""The demo's clip, an AVI that browsers can't play: the annotated video is shown instead, and each frame of it is the right one. A part of browser.py."""

import os
import pathlib
import random
import shutil
import signal
import subprocess

import clips
from dropping import Console

SECONDS, FRAMES = 5, 20
#: Mean difference of the shown picture and the still of its frame, in levels of 255, where something moves: the annotated video is encoded again, and has boxes.
MOST_DIFFERENT = 40
#: The still of another frame is at least this many times as different there.
LEAST_TIMES = 2
#: Pixels that move, at least.
LEAST_MOVING = 400

COMPARED = """async ([request, frame]) => {
  const canvas = document.querySelector("canvas");
  const {width, height} = canvas;
  const pixels = (picture) => {
    const pen = new OffscreenCanvas(width, height).getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height).data;
  };
  const still = async (frame) => pixels(await createImageBitmap(await (await fetch(`/api/requests/${request}/stills/${frame}.png`)).blob()));
  const shown = pixels(canvas);
  const [itself, ...others] = [await still(frame), await still(frame - 1), await still(frame + 1)];
  const apart = (one, other, at) => Math.abs(one[at] - other[at]) + Math.abs(one[at + 1] - other[at + 1]) + Math.abs(one[at + 2] - other[at + 2]);
  // For each of the two frames beside it: where they differ, how far is what is shown from the still of the frame, and how far from the other one's?
  return others.map((other) => {
    let [moving, own, wrong] = [0, 0, 0];
    for (let at = 0; at < itself.length; at += 4) {
      if (apart(itself, other, at) < 120) continue;
      moving++;
      own += apart(shown, itself, at) / 3;
      wrong += apart(shown, other, at) / 3;
    }
    return {moving, own: own / moving, wrong: wrong / moving};
  });
}"""


def piece(folder):
    """The first seconds of the clip, as they are in it; none where the clip can't be had."""
    fetched = subprocess.run([clips.ROOT / "scripts/clip"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if fetched.returncode:
        said = f"the demo's clip can't be had: {fetched.stderr.strip()}"
        assert os.environ.get("TRACKDROP_REQUIRE_BROWSER") != "1", said
        print(f"console: SKIPPED, with nothing tested of the demo's clip in a browser: {said}", flush=True)
        return None
    video = folder / "vtest.avi"
    clips.ffmpeg("-i", pathlib.Path(fetched.stdout.strip()), "-t", SECONDS, "-c", "copy", video)
    return video


def demo_clip(browser, data, address):
    """What the README's first command makes, looked at."""
    folder = data.folder / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    video = piece(folder)
    if video is None:
        return
    console = Console(data.command, folder / "data")
    # As scripts/demo does: with the model that scripts/setup installs.
    console.run("run", "--", video)
    try:
        watched(browser, data, console)
        # No page asks a console that has ended.
        browser.page.goto("about:blank")
    finally:
        if console.process and console.process.poll() is None:
            assert console.kill(signal.SIGINT) == 0, "Ctrl-C ends it"


def watched(browser, data, console):
    page = browser.page
    page.goto(console.start())
    page.get_by_role("link", name="vtest.avi").click()
    browser.settled(0)
    page.locator(".notes").get_by_text("This browser can't play the source video, so the annotated one is shown.").wait_for()
    assert page.locator("select.which").input_value() == "annotated"
    page.screenshot(path=data.folder / "demo.png", full_page=True)
    page.get_by_label("Boxes", exact=True).uncheck()
    request = page.url.split("/request/")[1].split("?")[0]
    last = int(page.locator(".scrub").get_attribute("max"))
    assert last >= 2 * FRAMES, last
    frames = random.Random(23).sample(range(1, last), FRAMES)
    worst = (0, float("inf"))
    for frame in frames:
        page.evaluate("(n) => { const i = document.querySelector('.scrub'); i.value = n; i.dispatchEvent(new Event('input', {bubbles: true})) }", frame)
        browser.settled(frame)
        assert page.locator("canvas").get_attribute("data-from") == "annotated", frame
        for one in page.evaluate(COMPARED, [request, frame]):
            assert one["moving"] >= LEAST_MOVING, f"frame {frame}: too little moves to tell frames apart: {one}"
            assert one["own"] <= MOST_DIFFERENT and one["wrong"] >= LEAST_TIMES * one["own"], f"frame {frame} is not on the canvas: {one}"
            worst = (max(worst[0], one["own"]), min(worst[1], one["wrong"] / one["own"]))
    print(f"console: vtest.avi: {FRAMES} of {FRAMES} frames right, at most {worst[0]:.1f} of 255 from their stills, the frames beside them {worst[1]:.1f} times as far", flush=True)
    page.get_by_label("Boxes", exact=True).check()
