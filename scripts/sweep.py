#!/usr/bin/env python3
"""Makes every combination that ffmpeg can write of the traits below, and compares what becomes of each with ffmpeg's own decode.

  scripts/torture-set --sweep                     all of them, as a table
  scripts/torture-set --sweep --sample N          N of them, always the same, spread over all
  scripts/torture-set --sweep --only WORD         those with WORD in their name; may be given several times
  scripts/torture-set --sweep --share K/N         the K-th of N shares, for several machines
  scripts/torture-set --sweep --keep DIR          leave the files that were found wrong in DIR

Of a file, `trackdrop verify --frames` and `trackdrop run` must give the pictures (by MD5) and the presentation times that
`ffmpeg` and `ffprobe` give, or refuse it with the reason. Exit code 0: nothing else was found; 3: something was.
"""

import argparse
import collections
import csv
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SCRIPTS = pathlib.Path(__file__).resolve().parent
SECONDS, RATE = 2, 25
os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder tells its settings otherwise
SMALL = "64x48"
X264 = "-c:v libx264 -preset veryfast -threads 1 -g {g} -bf {bf} -x264-params scenecut=0:open-gop={open}"
X265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint={g}:min-keyint={g}:scenecut=0:bframes={bf}:open-gop={open}"
PLAIN = "-g {g} -bf {bf}"

# How each codec is asked for, and its groups of pictures: all key frames, none but the first, P, B, and B before an open key frame.
VIDEO = {
    "h264": (X264, "intra one p b open"),
    "h264-10": (X264 + " -pix_fmt yuv420p10le", "b"),
    "h264-mbaff": (X264 + " -flags +ildct+ilme", "p b"),
    "h264-refresh": ("-c:v libx264 -preset veryfast -threads 1 -g 20 -bf 0 -x264-params intra-refresh=1", "one"),
    "hevc": (X265, "intra one p b open"),
    "hevc-10": (X265 + " -pix_fmt yuv420p10le", "open"),
    "av1": ("-s 64x64 -c:v libsvtav1 -preset 12 -g {g} -svtav1-params lp=1", "one b"),
    "av1-aom": ("-s 64x64 -c:v libaom-av1 -cpu-used 8 -usage realtime -g {g} -lag-in-frames 0", "p"),
    "vp8": ("-c:v libvpx -b:v 100k -deadline realtime -g {g} -auto-alt-ref 1 -lag-in-frames 10", "one b"),
    "vp9": ("-c:v libvpx-vp9 -b:v 100k -deadline realtime -cpu-used 8 -g {g} -auto-alt-ref 1 -lag-in-frames 10", "one b"),
    "mpeg1": ("-c:v mpeg1video " + PLAIN, "intra p b"),
    "mpeg2": ("-c:v mpeg2video " + PLAIN, "intra p b"),
    "mpeg2-interlaced": ("-c:v mpeg2video -flags +ildct+ilme -vf setfield=tff " + PLAIN, "b"),
    "mpeg4": ("-c:v mpeg4 " + PLAIN, "intra one p b"),
    "mpeg4-xvid": ("-c:v libxvid " + PLAIN, "b"),
    "msmpeg4v2": ("-c:v msmpeg4v2 " + PLAIN, "p"),
    "msmpeg4v3": ("-c:v msmpeg4 " + PLAIN, "p"),
    "wmv1": ("-c:v wmv1 " + PLAIN, "p"),
    "wmv2": ("-c:v wmv2 " + PLAIN, "p"),
    "flv1": ("-c:v flv " + PLAIN, "p"),
    "h261": ("-s 352x288 -c:v h261 " + PLAIN, "p"),
    "h263": ("-s 352x288 -c:v h263 " + PLAIN, "p"),
    "h263p": ("-c:v h263p " + PLAIN, "p"),
    "rv20": ("-c:v rv20 " + PLAIN, "p"),
    "svq1": ("-c:v svq1 " + PLAIN, "p"),
    "theora": ("-c:v libtheora -g {g}", "p"),
    "snow": ("-strict -2 -c:v snow " + PLAIN, "p"),
    "ffv1": ("-c:v ffv1 -g {g}", "intra p"),
    "ffv1-444-16": ("-c:v ffv1 -pix_fmt yuv444p16le", "intra"),
    "dirac": ("-c:v vc2 -strict -1", "intra"),
    "cinepak": ("-t 1 -c:v cinepak -g {g}", "p"),
    "qtrle": ("-c:v qtrle -g {g}", "intra p"),
    "rpza": ("-pix_fmt rgb555be -c:v rpza -g {g}", "p"),
    "smc": ("-pix_fmt pal8 -c:v smc -g {g}", "p"),
    "flashsv": ("-c:v flashsv -g {g}", "p"),
    "flashsv2": ("-c:v flashsv2 -g {g}", "p"),
    "msvideo1": ("-c:v msvideo1 -g {g}", "p"),
    "zmbv": ("-c:v zmbv -g {g}", "p"),
    "dv": ("-s 720x576 -pix_fmt yuv420p -c:v dvvideo", "intra"),
    "prores": ("-c:v prores -pix_fmt yuv422p10le", "intra"),
    "prores4444": ("-c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le", "intra"),
    "dnxhr": ("-s 256x128 -c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p", "intra"),
    "cineform": ("-s 256x128 -c:v cfhd -pix_fmt yuv422p10le", "intra"),
    "mjpeg": ("-c:v mjpeg", "intra"),
    "ljpeg": ("-c:v ljpeg -strict -1", "intra"),
    "jpeg2000": ("-c:v jpeg2000", "intra"),
    "png": ("-c:v png", "intra"),
    "apng": ("-c:v apng", "intra"),
    "bmp": ("-c:v bmp", "intra"),
    "tiff": ("-c:v tiff", "intra"),
    "huffyuv": ("-c:v huffyuv -pix_fmt yuv422p", "intra"),
    "ffvhuff": ("-c:v ffvhuff", "intra"),
    "utvideo": ("-c:v utvideo", "intra"),
    "magicyuv": ("-c:v magicyuv -pix_fmt yuv420p", "intra"),
    "v210": ("-c:v v210 -pix_fmt yuv422p10le", "intra"),
    "v308": ("-c:v v308 -pix_fmt yuv444p", "intra"),
    "raw-420": ("-c:v rawvideo -pix_fmt yuv420p", "intra"),
    "raw-422": ("-c:v rawvideo -pix_fmt uyvy422", "intra"),
    "raw-bgr": ("-c:v rawvideo -pix_fmt bgr24", "intra"),
    "raw-gray": ("-c:v rawvideo -pix_fmt gray", "intra"),
}
GOPS = {
    "intra": {"g": 1, "bf": 0, "open": 0},
    "one": {"g": 9999, "bf": 0, "open": 0},
    "p": {"g": 8, "bf": 0, "open": 0},
    "b": {"g": 8, "bf": 2, "open": 0},
    "open": {"g": 8, "bf": 2, "open": 1},
}
# Container: the file's ending, and options of the muxer.
CONTAINERS = {
    "mp4": ("mp4", ""),
    "mp4-faststart": ("mp4", "-movflags +faststart"),
    "mp4-fragments": ("mp4", "-movflags frag_keyframe+empty_moov+default_base_moof"),
    "mp4-fragment-a-frame": ("mp4", "-movflags frag_every_frame+empty_moov+default_base_moof"),
    "mov": ("mov", ""),
    "3gp": ("3gp", ""),
    "mkv": ("mkv", ""),
    "webm": ("webm", ""),
    "webm-live": ("webm", "-live 1"),
    "avi": ("avi", ""),
    "ts": ("ts", ""),
    "m2ts": ("m2ts", "-mpegts_m2ts_mode 1"),
    "mpg": ("mpg", ""),
    "vob": ("vob", "-f vob"),
    "flv": ("flv", ""),
    "asf": ("asf", ""),
    "ogg": ("ogg", ""),
    "mxf": ("mxf", ""),
    "nut": ("nut", ""),
    "ivf": ("ivf", ""),
    "raw-h264": ("h264", "-f h264"),
    "raw-hevc": ("hevc", "-f hevc"),
}
SOUNDS = {
    "aac": "-c:a aac",
    "mp3": "-c:a libmp3lame",
    "mp2": "-c:a mp2",
    "ac3": "-c:a ac3",
    "eac3": "-c:a eac3",
    "dts": "-strict -2 -c:a dca",
    "flac": "-c:a flac",
    "alac": "-c:a alac",
    "truehd": "-strict -2 -c:a truehd",
    "mlp": "-strict -2 -c:a mlp",
    "opus": "-c:a libopus",
    "vorbis": "-c:a libvorbis",
    "speex": "-ar 16000 -c:a libspeex",
    "wma2": "-c:a wmav2",
    "tta": "-c:a tta",
    "wavpack": "-c:a wavpack",
    "pcm-16": "-c:a pcm_s16le",
    "pcm-16-be": "-c:a pcm_s16be",
    "pcm-24-192k": "-ar 192000 -c:a pcm_s24le",
    "pcm-float": "-c:a pcm_f32le",
    "pcm-mulaw": "-ar 8000 -ac 1 -c:a pcm_mulaw",
    "adpcm-ms": "-c:a adpcm_ms",
    "adpcm-ima": "-c:a adpcm_ima_wav",
    "g726": "-ar 8000 -ac 1 -c:a g726",
    "gsm": "-ar 8000 -ac 1 -c:a libgsm_ms",
    "none": "",
}
TIMES = {
    "stated": "",
    "some-missing": r"-bsf:v setts=pts=if(eq(mod(N\,5)\,2)\,NOPTS\,PTS)",
    "as-dts": "-bsf:v setts=pts=DTS",
}
KEYS = ("stated", "all", "none", "first")
FLAGGED = ("mp4", "mov", "3gp", "mkv", "webm", "avi", "flv")  # whose flags scripts/container-lies changes
TURNS = ("0", "90", "180", "270")
REORDERED = {"b", "open"}


@dataclasses.dataclass(frozen=True)
class Combination:
    """One file: a value of each trait."""

    video: str
    gop: str
    container: str
    keys: str = "stated"
    times: str = "stated"
    turn: str = "0"
    sound: str = "none"

    @property
    def name(self):
        parts = [self.video, self.gop, f"keys-{self.keys}", f"times-{self.times}", f"turn-{self.turn}", self.sound]
        return f"{'.'.join(parts)}.{self.container}.{CONTAINERS[self.container][0]}"


def combinations():
    """Each codec, group of pictures, container, kind of flags and of times with every other; turn and sound in rotation, so that each
    of these meets each container."""
    found = []
    for video, (_, gops) in VIDEO.items():
        for gop in gops.split():
            for container, (ending, _) in CONTAINERS.items():
                # ffmpeg writes anything as a raw stream.
                if container.startswith("raw-") and not video.startswith(container.removeprefix("raw-")):
                    continue
                for keys in KEYS if ending in FLAGGED else KEYS[:1]:
                    for times in TIMES:
                        if times == "stated" or gop in REORDERED or times == "some-missing" and ending in ("ts", "m2ts", "mpg", "nut"):
                            found.append(Combination(video, gop, container, keys, times))
    places = collections.Counter()
    for at, one in enumerate(found):
        nth = places[one.container]
        places[one.container] += one.keys == "stated"
        turns = TURNS if CONTAINERS[one.container][0] in ("mp4", "mov", "3gp") else TURNS[:1]
        sounds = list(SOUNDS)
        # Flags are changed of all streams, and a sound's are no matter here.
        sound = sounds[nth % len(sounds)] if one.keys == "stated" else "none"
        found[at] = dataclasses.replace(one, turn=turns[nth % len(turns)], sound=sound)
    return found


def ffmpeg(*arguments, out):
    """Whether ffmpeg wrote the file, and wrote it without an error."""
    words = [word for argument in arguments for word in (argument.split() if isinstance(argument, str) else [str(argument)])]
    ended = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *words, str(out)], capture_output=True, text=True)
    if ended.returncode != 0:
        pathlib.Path(out).unlink(missing_ok=True)
    return ended.returncode == 0 and pathlib.Path(out).exists()


class Maker:
    """Encodes each stream once and puts them together."""

    def __init__(self, folder):
        self.folder = folder
        self.streams = {}

    def stream(self, name, *arguments):
        """A stream encoded once, in the first container that takes it; None where it can't be."""
        if name not in self.streams:
            paths = (self.folder / f"{name}.{ending}" for ending in ("nut", "mkv", "mov", "avi"))
            self.streams[name] = next((path for path in paths if ffmpeg(*arguments, "-strict -2", out=path)), None)
        return self.streams[name]

    def make(self, one, out):
        """Whether ffmpeg can write it."""
        options, _ = VIDEO[one.video]
        picture = f"-f lavfi -i testsrc2=s={SMALL}:r={RATE}:d={SECONDS}"
        video = self.stream(f"{one.video}-{one.gop}", picture, options.format(**GOPS[one.gop]))
        if video is None:
            return False
        inputs, maps = ["-i", video], "-map 0:v"
        if one.sound != "none":
            tone = f"-f lavfi -i sine=f=440:r=48000:d={SECONDS}"
            sound = self.stream(f"sound-{one.sound}", tone, SOUNDS[one.sound])
            if sound is not None:
                inputs, maps = [*inputs, "-i", sound], "-map 0:v -map 1:a"
        _, options = CONTAINERS[one.container]
        strict = "-strict -2"
        if not ffmpeg(*inputs, maps, "-c copy", strict, TIMES[one.times], options, out=out):
            # The sound may be what the container can't hold.
            if len(inputs) == 2 or not ffmpeg("-i", video, "-c copy", strict, TIMES[one.times], options, out=out):
                return False
        if one.turn != "0":
            subprocess.run([SCRIPTS / "mp4-edit", out, "turn", one.turn], check=True)
        if one.keys != "stated":
            subprocess.run([SCRIPTS / "container-lies", "keys", one.keys, out], check=True)
        return True


def is_damaged(file):
    """Whether ffmpeg itself finds the stream damaged: then it conceals, and what it shows depends on what it decoded before."""
    command = ["ffmpeg", "-nostdin", "-threads", "1", "-v", "error", "-i", str(file), "-map", "0:v:0", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True).stderr
    return any("@ 0x" in line and not line.startswith("[null") for line in said.splitlines())


def witness(file):
    """The pictures that ffmpeg decodes: presentation time and MD5 of each in the order of showing; None where it decodes none."""
    probe = ["ffprobe", "-threads", "1", "-v", "quiet", "-select_streams", "v:0", "-show_entries", "frame=pts,best_effort_timestamp", "-of", "csv=p=0"]
    printed = subprocess.run([*probe, str(file)], capture_output=True, text=True).stdout
    times = []
    for line in printed.splitlines():
        fields = [field for field in line.split(",") if field.lstrip("-").isdigit() or field == "N/A"]
        if fields:
            times.append(next((int(field) for field in fields if field != "N/A"), None))
    hashes = ["ffmpeg", "-nostdin", "-threads", "1", "-v", "quiet", "-noautorotate", "-i", str(file), "-map", "0:v:0", "-fps_mode", "passthrough"]
    printed = subprocess.run([*hashes, "-c:v", "rawvideo", "-f", "framehash", "-hash", "md5", "-"], capture_output=True, text=True).stdout
    pictures = [line.rsplit(",", 1)[1].strip() for line in printed.splitlines() if line and not line.startswith("#")]
    # ffprobe opens the sound's decoder, too, and says nothing where that one can't be opened: then nothing is known of the times.
    return times or [None] * len(pictures), pictures


class Judge:
    """Runs the product over files and compares."""

    def __init__(self, trackdrop, model, folder):
        self.trackdrop, self.model, self.folder = trackdrop, model, folder

    def verified(self, file):
        """The frames of the chunks as (pts, md5), or the refusal."""
        frames = self.folder / "frames.csv"
        frames.unlink(missing_ok=True)
        command = [self.trackdrop, "verify", "--segment-seconds", "0.5", "--json", "--frames", frames, file]
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
        if ended.returncode == 1:
            return None, ended.stderr.strip().replace(str(file), "FILE")
        with frames.open() as lines:
            rows = [(int(row["pts"]), row["md5"], row["damaged"] == "true") for row in csv.DictReader(lines)]
        difference = json.loads(ended.stdout).get("difference") if ended.returncode else None
        return rows, difference

    def run(self, files):
        """The summary of each file that is not refused, and what the others were refused with."""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        command = [self.trackdrop, "--data", data, "run", "--json", "--segment-seconds", "0.5", "--model", self.model, *files]
        ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
        summaries = [json.loads(line) for line in ended.stdout.splitlines()]
        sql = "SELECT request_id, frame_index, any_value(pts) AS pts FROM tracks GROUP BY ALL ORDER BY ALL"
        asked = subprocess.run(list(map(str, [self.trackdrop, "--data", data, "query", "--format", "csv", sql])), capture_output=True, text=True)
        rows = collections.defaultdict(dict)
        for row in csv.DictReader(asked.stdout.splitlines()):
            rows[row["request_id"]][int(row["frame_index"])] = int(row["pts"])
        return {pathlib.Path(s["video"]).name: (s, rows[s["request_id"]]) for s in summaries}, ended.stderr


def verdict(one, file, judge):
    """("exact" | "refused" | "damaged" | "WRONG", the reason)."""
    times, pictures = witness(file)
    try:
        rows, said = judge.verified(file)
    except subprocess.TimeoutExpired:
        return "WRONG", "verify does not end"
    if rows is None:
        if not said or "panicked" in said:
            return "WRONG", said or "no reason"
        # Whether another reader shows it, so that a refusal that could be spared is seen.
        return "refused", f"{said}\n{len(pictures)}"
    if said:
        return "WRONG", said
    whole = [(pts, md5) for pts, md5, damaged in rows if not damaged]
    if [md5 for _, md5 in whole] != pictures:
        # That `verify` compared the chunks with its own serial decode, which ended as exact, has to do then.
        if is_damaged(file):
            return "damaged", "ffmpeg's own decode reports errors"
        known = collections.Counter(pictures)
        known.subtract(md5 for _, md5 in whole)
        lacking, more = sum(n for n in known.values() if n > 0), -sum(n for n in known.values() if n < 0)
        damaged = len(rows) - len(whole)
        what = f"{len(whole)} whole and {damaged} damaged frames where ffmpeg shows {len(pictures)}: {lacking} lack, {more} are others"
        if lacking or more:
            return "WRONG", what
        return "WRONG", "the pictures come in another order than ffmpeg's"
    # ffprobe repeats the time before where a packet has none.
    ascends = [nth == 0 or time is not None and time > times[nth - 1] for nth, time in enumerate(times)] if None not in times else []
    differs = len(times) != len(whole) or any(good and pts != time for good, (pts, _), time in zip(ascends, whole, times))
    if None not in times and one.times == "stated" and differs:
        return "WRONG", f"times {[pts for pts, _ in whole][:4]}... where ffprobe has {times[:4]}..."
    if any(a[0] >= b[0] for a, b in zip(whole, whole[1:])):
        return "WRONG", "times do not ascend"
    return "exact", ""


def spread(all_of_them, count):
    """`count` of a list, by the hash of their names: the same ones as long as they are there."""
    return sorted(sorted(all_of_them, key=lambda one: hashlib.md5(one.name.encode()).digest())[:count], key=lambda one: one.name)


def main():
    parser = argparse.ArgumentParser(prog="torture-set --sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--only", action="append", default=[], metavar="WORD")
    parser.add_argument("--share", default="1/1", metavar="K/N")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--list", action="store_true", help="print the names")
    arguments = parser.parse_args()
    chosen = [one for one in combinations() if all(word in one.name for word in arguments.only)]
    if arguments.sample:
        chosen = spread(chosen, arguments.sample)
    share, shares = map(int, arguments.share.split("/"))
    chosen = chosen[share - 1 :: shares]
    if arguments.list:
        print(*(one.name for one in chosen), sep="\n")
        return 0

    trackdrop = os.environ.get("TRACKDROP", SCRIPTS.parent / "target/debug/trackdrop")
    model = SCRIPTS.parent / "cli/tests/fixtures/colours.onnx"
    found = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        streams, files = folder / "streams", folder / "files"
        streams.mkdir()
        files.mkdir()
        maker, judge = Maker(streams), Judge(trackdrop, model, folder)
        waiting = []

        def settle():
            """Runs the whole pipeline on the files that were exact."""
            done, stderr = judge.run([file for *_, file in waiting]) if waiting else ({}, "")
            for one, result, reason, file in waiting:
                summary, rows = done.get(file.name, (None, None))
                if summary is None:
                    lines = [line for line in stderr.splitlines() if file.name in line]
                    result, reason = "WRONG", f"run fails: {lines[-1] if lines else stderr[-300:]}"
                elif summary["error"] and not summary["ledger"]["frames"]:
                    result, reason = "refused", f"{summary['error']['message']}\n{len(witness(file)[1])}"
                else:
                    times, frames = witness(file)[0], summary["ledger"]["frames"]
                    planned = [rows.get(index) for index in range(frames)]
                    again = [nth for nth in range(1, len(times)) if None not in times and times[nth] <= times[nth - 1]]
                    if one.times == "stated" and None not in times and not again and planned != times:
                        result, reason = "WRONG", f"run: rows at {planned[:4]}... of {frames} frames, where ffprobe has {times[:4]}..."
                    shown = len(witness(pathlib.Path(summary["annotated"]))[1]) if summary["annotated"] else "no"
                    if shown != frames:
                        result, reason = "WRONG", f"run: {shown} pictures in annotated.mp4 of {frames} frames"
                end(one, result, reason, file)
            waiting.clear()

        def end(one, result, reason, file):
            found.append((one, result, reason))
            if result == "WRONG":
                print(f"WRONG {one.name}: {reason}", file=sys.stderr, flush=True)
                if arguments.keep:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, arguments.keep)
            file.unlink()

        for one in chosen:
            file = files / one.name
            if not maker.make(one, file):
                continue
            result, reason = verdict(one, file, judge)
            if result == "exact":
                waiting.append((one, result, reason, file))
                if len(waiting) == 20:
                    settle()
            else:
                end(one, result, reason, file)
        settle()
    report(found)
    return 3 if any(result == "WRONG" for _, result, _ in found) else 0


def report(found):
    """The table of docs/video.md, and why files were refused."""
    tally = collections.Counter(result for _, result, _ in found)
    print(f"{len(found)} combinations: {tally['exact']} exact, {tally['refused']} refused with the reason, {tally['damaged']} damaged as ffmpeg wrote them and cut as they are decoded, {tally['WRONG']} wrong.\n")
    print("| codec | containers | exact | refused | damaged | wrong |\n|---|---|---|---|---|---|")
    for video in VIDEO:
        own = [(one, result) for one, result, _ in found if one.video == video]
        if own:
            counts = collections.Counter(result for _, result in own)
            containers = " ".join(dict.fromkeys(one.container for one, _ in own))
            print(f"| {video} | {containers} | {counts['exact']} | {counts['refused']} | {counts['damaged']} | {counts['WRONG']} |")
    reasons = collections.defaultdict(list)
    for one, result, reason in found:
        if result == "refused":
            reason, pictures = reason.removeprefix("trackdrop: ").rsplit("\n", 1)
            reasons[reason].append((one, int(pictures)))
    if reasons:
        print("\n| refused | ffmpeg shows pictures of | such as | reason |\n|---|---|---|---|")
        for reason, ones in sorted(reasons.items(), key=lambda item: -len(item[1])):
            shown = [one for one, pictures in ones if pictures]
            print(f"| {len(ones)} | {len(shown)} | `{(shown or [ones[0][0]])[0].name}` | {' '.join(reason.split())} |")


if __name__ == "__main__":
    sys.exit(main())
