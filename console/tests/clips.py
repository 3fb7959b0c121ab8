"""Clips whose pictures say which frame they are: blocks along the top, black or white, are the bits of the frame's number.

Below them a red, a green and a blue thing move, each in its way, which the detector of the tests finds (cli/tests/fixtures/make_moments.py).
"""

import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, BITS, BAND = 192, 108, 12, 16
SECONDS = 2.4
X264 = "-c:v libx264 -preset veryfast -threads 1 -g 12 -bf 3".split()


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def scene(rate="25", after="", seconds=SECONDS):
    """The picture, by FFmpeg's filters."""
    still = lambda colour, size, name: f"color={colour}:s={size}:r={rate}:d={seconds},format=yuv444p[{name}]"
    block = f"mod(floor(N/pow(2,floor(X*{BITS}/{WIDTH}))),2)"
    return ";".join([
        still("0x808080", f"{WIDTH}x{HEIGHT}", "grey"), still("red", "40x22", "red"), still("lime", "18x30", "green"), still("blue", "26x26", "blue"),
        "[grey][red]overlay=x=4+t*45:y=20+t*6:format=yuv444[one]",
        "[one][green]overlay=x=165-t*15:y=46+t*8:format=yuv444[two]",
        f"[two][blue]overlay=x=20+t*30:y=76-t*3:format=yuv444,geq=lum='if(lt(Y,{BAND}),16+219*{block},lum(X,Y))'"
        f":cb='if(lt(Y,{BAND}),128,cb(X,Y))':cr='if(lt(Y,{BAND}),128,cr(X,Y))',format=yuv420p{after}",
    ])


def turn(path):
    """Says in the file that its pictures are to be turned by 90 degrees."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    for at, cell in enumerate([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30]):
        struct.pack_into(">i", data, header + 44 + 4 * at, cell)
    path.write_bytes(data)


def make(folder):
    """All clips, by name."""
    def one(name, *options, rate="25", after="", more=()):
        ffmpeg("-filter_complex", scene(rate, after), *more, *X264, *options, folder / name)
        return folder / name

    constant = one("constant.mp4")
    one("ntsc.mp4", rate="30000/1001")
    variable = one("variable.mp4", "-fps_mode", "vfr", "-enc_time_base", "1/90000", after=",setpts='(N+floor(N/7)*2+mod(N\\,3)*0.3)/25/TB'")
    ffmpeg("-i", variable, "-c", "copy", folder / "variable.mkv")
    one("dropped.mp4", "-fps_mode", "vfr", after=",select='not(between(mod(n\\,20)\\,5\\,8))'")
    edited = folder / "edit-list.mp4"
    edited.write_bytes(constant.read_bytes())
    subprocess.run([ROOT / "scripts/mp4-edit", edited, "edits", "0.5:1.7"], check=True)
    one("open-gop.mp4", "-x264-params", "open-gop=1:scenecut=0")
    turn(one("turned.mp4", after=",transpose=cclock"))
    one("late.mp4", "-output_ts_offset", "0.5")
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s=96x54:r=10:d={SECONDS}", "-i", constant, "-map", "0:v", "-map", "1:v", *X264, folder / "two-tracks.mp4")
    one("anamorphic.mp4", after=",setsar=2")
    one("sound.mp4", "-shortest", more=("-f", "lavfi", "-i", f"sine=f=440:r=48000:d={SECONDS}", "-map", "0:a", "-c:a", "aac"))
    hostile = folder / "<img src=x onerror=alert(1)> & \"quoted\" 'name'.mp4"
    hostile.write_bytes(constant.read_bytes())
    return sorted(path for path in folder.iterdir() if path.suffix in (".mp4", ".mkv"))


def numbers(path, stream=0):
    """The number in each picture, in the order of presentation, by FFmpeg's decoder."""
    turned = ["-vf", "scale=iw:ih"]
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", f"v:{stream}", "-show_entries", "stream=width,height:stream_side_data=rotation", "-of", "default=nw=1:nk=0", path],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    said = dict(line.split("=") for line in probe.split() if "=" in line)
    width, height = int(said["width"]), int(said["height"])
    if int(said.get("rotation", 0)) % 180:
        width, height = height, width
    raw = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "fatal", "-i", path, "-map", f"0:v:{stream}", "-fps_mode", "passthrough", *turned, "-pix_fmt", "gray", "-f", "rawvideo", "-"],
        check=True, stdout=subprocess.PIPE,
    ).stdout
    row = height * BAND // HEIGHT // 2 * width
    found = []
    for at in range(0, len(raw), width * height):
        bits = [raw[at + row + (2 * bit + 1) * width // (2 * BITS)] > 128 for bit in range(BITS)]
        found.append(sum(1 << bit for bit, is_set in enumerate(bits) if is_set))
    return found
