"""Builds images in plain roots, step by step as their Dockerfiles say, and starts their services.

An image is a stack of layers (overlayfs), one for each RUN and COPY, as with a container engine; equal steps on equal stacks are run once
for all functions. `scripts/images/check` calls this and says what stands for what.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path

import dockerfile

# What the official image of Rust has, as far as builds need it (it has more: it is made on buildpack-deps).
RUST_IMAGE_PACKAGES = "build-essential ca-certificates curl git"
# FFmpeg's libraries have other names in NVIDIA's Ubuntu 24.04 than in the Debian that stands for it.
BUILD_ARGUMENTS = {"FFMPEG_LIBRARIES": "libavcodec59 libavformat59 libavutil57 libswscale6"}
# Nothing of a compiler or package cache may be in what runs.
FORBIDDEN = ["cc", "gcc", "clang", "ld", "cargo", "rustc", "make", "git", "curl", "python3"]
# Settings that every service needs. Nothing listens there: neither start nor probes may call anyone.
SETTINGS = {
    "STORAGE_EMULATOR_HOST": "127.0.0.1:9",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    "BIGQUERY_EMULATOR_HOST": "127.0.0.1:9",
    "TRACKDROP_BUCKET_UPLOADS": "acme-uploads",
    "TRACKDROP_BUCKET_WORK": "acme-work",
    "TRACKDROP_BUCKET_RESULTS": "acme-results",
    "TRACKDROP_TOPIC_REQUESTS": "projects/acme/topics/requests",
    "TRACKDROP_DATASET": "acme.tracking",
}
# How this machine reaches package mirrors; handed to RUN as a container engine does with its proxy settings.
PASSED = re.compile(r"(?i)^(https?_proxy|no_proxy|all_proxy|pip_.*|npm_config_.*|ssl_cert_file|node_extra_ca_certs)$")


def say(text):
    print(f"image-check: {text}", flush=True)


class Failed(Exception):
    """A step or a claim that does not hold."""


@dataclass(frozen=True)
class Image:
    """A stack of layers, topmost last, and how what runs in it is run."""

    key: str
    layers: tuple
    environment: dict = field(default_factory=dict)
    arguments: dict = field(default_factory=dict)
    folder: str = "/"
    user: str = ""
    entrypoint: tuple = ()
    # Folders of this machine inside: what is too big to copy, or is to be kept.
    mounts: dict = field(default_factory=dict)


class Builder:
    """Runs the steps of Dockerfiles."""

    def __init__(self, checkout, base, work, target):
        self.checkout, self.work, self.target = Path(checkout), Path(work), Path(target)
        self.done = {}
        self.count = 0
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.base = Image("debian", (str(base), str(self._machine())), environment={"PATH": path})
        self._rust = None
        self.given = {}

    def _machine(self):
        """A layer with this machine's ways to package mirrors."""
        layer = self.work / "machine"
        copied = [Path("/etc/resolv.conf"), Path("/etc/pip.conf"), Path.home() / ".npmrc"]
        copied += Path("/etc/apt").glob("sources.list.d/debian.*")
        copied += [path for path in Path("/etc/apt/apt.conf.d").iterdir() if "Acquire" in path.read_text(errors="replace")]
        copied += [Path("/etc/ssl/certs/ca-certificates.crt"), *Path("/usr/local/share/ca-certificates").rglob("*.crt")]
        for path in copied:
            if path.is_file():
                to = layer / ("root/.npmrc" if path.name == ".npmrc" else str(path).lstrip("/"))
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path.resolve(), to)
        # The mirror that debootstrap was told is among them.
        if list((layer / "etc/apt/sources.list.d").glob("*")):
            (layer / "etc/apt/sources.list").write_text("")
        # As in the official images: no caches that only apt itself reads.
        (layer / "etc/apt/apt.conf.d").mkdir(parents=True, exist_ok=True)
        (layer / "etc/apt/apt.conf.d/docker-clean").write_text('Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";\n')
        return layer

    def rust(self):
        """What stands for the official image of Rust: Debian with a C compiler, and this machine's toolchain."""
        if self._rust is None:
            toolchain = subprocess.run(["rustc", "--print", "sysroot"], text=True, capture_output=True, check=True).stdout.strip()
            registry = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry"
            mounts = {"/usr/local/rustup/toolchain": toolchain, "/usr/local/cargo/registry": str(registry)}
            image = replace(self.base, key="rust", mounts=mounts, environment={"CARGO_HOME": "/usr/local/cargo",
                "RUSTUP_HOME": "/usr/local/rustup", "PATH": "/usr/local/cargo/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
            install = (f"apt-get update -q && apt-get install -q -y --no-install-recommends {RUST_IMAGE_PACKAGES}"
                " && rm -rf /var/lib/apt/lists/* && mkdir -p /usr/local/cargo/bin && ln -s /usr/local/rustup/toolchain/bin/* /usr/local/cargo/bin/")
            self._rust = self.run(image, install)
        return self._rust

    # --- Steps

    def build(self, path, given):
        """The image of a Dockerfile's last stage, with these build arguments."""
        self.given = BUILD_ARGUMENTS | given
        stages, outside, image, named = {}, {}, None, None
        for instruction in dockerfile.read(path):
            try:
                if instruction.name == "ARG" and image is None:
                    name, default = dockerfile.argument(instruction.text)
                    outside[name] = self.given.get(name, default)
                elif instruction.name == "FROM":
                    image, named = self.begin(instruction.text, outside, stages)
                else:
                    image = self.step(image, instruction, stages, outside)
                if named:
                    stages[named] = image
            except (Failed, ValueError) as error:
                raise Failed(f"{path}:{instruction.line}: {error}") from error
        return image

    def begin(self, text, outside, stages):
        """FROM: an earlier stage, or what stands for an image from elsewhere."""
        words = text.split()
        name, named = words[0], words[2] if len(words) == 3 and words[1].upper() == "AS" else None
        if name in stages:
            return stages[name], named
        image = dockerfile.expand(name, outside)
        if not re.search(r":[\w.-]+$|@sha256:[0-9a-f]{64}$", image):
            raise Failed(f"{image} has neither a tag nor a digest")
        if name == image:
            raise Failed(f"{image} is not a build argument, so no digest could be given")
        return self.rust() if image.startswith("rust") else self.base, named

    def step(self, image, instruction, stages, outside):
        """The image after one more instruction."""
        name, text = instruction.name, instruction.text
        variables = image.arguments | image.environment
        if name == "ARG":
            name, default = dockerfile.argument(text)
            value = self.given.get(name, outside.get(name) if default is None else dockerfile.expand(default, variables))
            if value is None:
                raise Failed(f"the build argument {name} has no default")
            return replace(image, arguments=image.arguments | {name: value})
        if name == "ENV":
            new = {key: dockerfile.expand(value, variables) for key, value in dockerfile.pairs(text)}
            return replace(image, environment=image.environment | new)
        if name == "USER":
            return replace(image, user=text)
        if name == "WORKDIR":
            return replace(image, folder=os.path.join(image.folder, dockerfile.expand(text, variables)))
        if name == "ENTRYPOINT":
            return replace(image, entrypoint=tuple(dockerfile.words_of(text)))
        if name == "EXPOSE":
            return image
        if name == "RUN":
            say(f"  RUN {text[:100]}")
            return self.run(image, text)
        if name == "COPY":
            say(f"  COPY {text}")
            return self.copy(image, *dockerfile.copy(dockerfile.expand(text, variables)), stages)
        raise Failed(f"{name} has no meaning here")

    def run(self, image, command):
        """RUN: the command by a shell, as the image's user, in a new layer."""
        user = image.user or "0:0"
        inherited = {key: value for key, value in os.environ.items() if PASSED.match(key)}
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
            "DEBIAN_FRONTEND": "noninteractive"} | inherited | image.arguments | image.environment
        assigned = [f"{key}={value}" for key, value in environment.items()]
        inside = f"mkdir -p {shlex.quote(image.folder)} && cd {shlex.quote(image.folder)} && {command}"
        call = ["chroot", f"--userspec={user}", "ROOT", "/usr/bin/env", "-i", *assigned, "/bin/sh", "-c", inside]
        return self.layer(image, f"RUN {user} {image.folder} {sorted(environment.items())} {command}",
            lambda upper: self.inside(image, upper, call))

    def copy(self, image, stage, sources, to, stages):
        """COPY, from the checkout or from another stage."""
        target = os.path.join(image.folder, to)
        if stage is None:
            ignored = [line.strip() for line in (self.checkout / ".dockerignore").read_text().splitlines() if line.strip()]
            if any(set(line) & set("*?!/#") for line in ignored):
                raise Failed(".dockerignore has patterns that this check does not know")
            tar = ["tar", "-C", str(self.checkout), *[f"--exclude=./{name}" for name in ignored], "-cf", "-"]
            tar += [f"./{os.path.normpath(source)}" if source != "." else "." for source in sources]

            def from_checkout(upper):
                # A folder's content is copied, a file into the target.
                into = target
                if len(sources) == 1 and sources[0] != "." and (self.checkout / sources[0]).is_dir():
                    tar[2:3] = [str(self.checkout / sources[0])]
                    tar[-1] = "."
                folder = Path(f"{upper}{into}")
                folder.mkdir(parents=True, exist_ok=True)
                packed = subprocess.Popen(tar, stdout=subprocess.PIPE)
                unpacked = subprocess.run(["tar", "-C", folder, "--no-same-owner", "-xf", "-"], stdin=packed.stdout, check=False)
                if packed.wait() or unpacked.returncode:
                    raise Failed("copying from the checkout failed")

            image = self.layer(image, f"COPY {sources} {target}", from_checkout)
            if sources == ["."]:
                image = replace(image, mounts=image.mounts | {f"{target.rstrip('/')}/target": str(self.target)})
            return image
        if stage not in stages:
            raise Failed(f"there is no stage {stage}")
        origin = stages[stage]
        mounts = dict(image.mounts)
        for source in sources:
            mounts |= {target + inside[len(source):]: outside for inside, outside in origin.mounts.items()
                if inside.startswith(source + "/")}

        def from_stage(upper):
            for source in sources:
                self.inside(origin, None, ["sh", "-c", """
                    set -e
                    from=$1 upper=$2 to=$3
                    if [ -d "$from" ]; then mkdir -p "$upper$to"; cp -ax "$from/." "$upper$to/"
                    else case $to in */) mkdir -p "$upper$to" ;; *) mkdir -p "$(dirname "$upper$to")" ;; esac; cp -a "$from" "$upper$to"; fi
                    """, "sh", f"ROOT{source}", upper, target])

        return replace(self.layer(image, f"COPY {origin.key} {sources} {target}", from_stage), mounts=mounts)

    # --- Layers and roots

    def layer(self, image, what, fill):
        """The image with one more layer, which `fill` writes; none is written twice."""
        key = hashlib.sha256(f"{image.key}\n{what}".encode()).hexdigest()
        if key not in self.done:
            self.count += 1
            upper = self.work / f"{self.count:03}"
            upper.mkdir()
            fill(str(upper))
            self.done[key] = str(upper)
        return replace(image, key=key, layers=(*image.layers, self.done[key]))

    def script(self, image, upper, call, is_read_only=False):
        """A shell script for a mount namespace of its own, which mounts the image and runs the call, where ROOT is the image's root."""
        root, empty = self.work / "root", self.work / "empty"
        for folder in (root, empty, self.work / "overlay"):
            folder.mkdir(exist_ok=True)
        names = []
        for layer in reversed(image.layers):
            # Short names: the options of a mount must fit into a page.
            name = os.path.relpath(layer, self.work)
            names.append(name)
        options = f"lowerdir={':'.join(names)}"
        if upper is not None:
            shutil.rmtree(self.work / "overlay")
            (self.work / "overlay").mkdir()
            options += f",upperdir={os.path.relpath(upper, self.work)},workdir=overlay"
        elif len(names) == 1:
            options += ":empty"
        lines = ["set -e", f"cd {shlex.quote(str(self.work))}", "mount --make-rprivate /",
            f"mount -t overlay -o {shlex.quote(options)} overlay root", "mount -t proc proc root/proc", "mount --rbind /dev root/dev"]
        for inside, outside in ({} if is_read_only else image.mounts).items():
            if upper is None and not os.path.isdir(outside):
                continue
            Path(outside).mkdir(parents=True, exist_ok=True)
            mount_point = shlex.quote(f"root{inside}")
            # Without a layer to write to there is nothing to make a mount point in; where it is missing nothing is looked for either.
            make = f"mkdir -p {mount_point}" if upper is not None else f"[ ! -d {mount_point} ] ||"
            lines += [make] if upper is not None else []
            lines.append(f"{'' if upper is not None else make + ' '}mount --bind {shlex.quote(outside)} {mount_point}")
        if is_read_only:
            lines += ["mount -t tmpfs -o size=256m tmpfs root/tmp"]
        call = [word.replace("ROOT", str(root), 1) if word.startswith("ROOT") else word for word in call]
        return "\n".join([*lines, "exec " + " ".join(map(shlex.quote, map(str, call)))])

    def inside(self, image, upper, call):
        """Runs the call in the image's root, with its output kept for when it fails."""
        script = self.script(image, upper, call)
        log = self.work / "log"
        with open(log, "wb") as output:
            done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
        text = log.read_text(errors="replace")
        if done.returncode:
            raise Failed(f"exit status {done.returncode}\n{text[-4000:]}")
        return text


# --- What must be true of an image

def check_image(builder, path, image):
    """No compiler, no root, and each library of the package manager's is one that the binary needs."""
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.user):
        raise Failed(f"it runs as {image.user or 'root'}, not as a numbered user without rights")
    chroot = ["chroot", "ROOT", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    found = builder.inside(image, None, [*chroot, "sh", "-c", f"for name in {' '.join(FORBIDDEN)}; do command -v $name || :; done"])
    if found.strip():
        raise Failed(f"what only a build needs is in the image: {found.split()}")
    binary = image.entrypoint[0]
    needed = builder.inside(image, None, [*chroot, "ldd", binary])
    if "not found" in needed:
        raise Failed(f"libraries are missing:\n{needed}")
    libraries = re.findall(r"=> (\S+)", needed)
    owners = builder.inside(image, None, [*chroot, "sh", "-c", 'for path in "$@"; do dpkg -S "$path" "$(realpath "$path")" 2>/dev/null || :; done',
        "sh", *libraries])
    owners = {line.split(":")[0] for line in owners.splitlines()}
    last = [instruction for instruction in dockerfile.read(path) if instruction.name in ("FROM", "RUN")]
    last = last[max(i for i, instruction in enumerate(last) if instruction.name == "FROM"):]
    installed = " ".join(dockerfile.expand(found, builder.given) for instruction in last
        for found in re.findall(r"apt-get install ([^&]*)", instruction.text)).split()
    superfluous = [name for name in installed if name.startswith("lib") and name not in owners]
    if superfluous:
        raise Failed(f"{binary} needs nothing of {superfluous}")
    size = sum(int(subprocess.run(["du", "-sk", layer], text=True, capture_output=True, check=True).stdout.split()[0]) for layer in image.layers[2:])
    say(f"  {len(libraries)} libraries found; {size // 1024} MB above the base image")


def check_service(builder, image):
    """Starts the service as its user on a read-only root; it must be healthy and ready, and go when it is asked to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The processor, as there is no GPU here. Settings win over the image's, as with a container engine.
    environment = image.environment | SETTINGS | {"PORT": str(port), "TRACKDROP_DEVICE": "cpu"}
    environment.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assigned = [f"{key}={value}" for key, value in environment.items()]
    call = ["chroot", f"--userspec={image.user}", "--groups=", "ROOT", "/usr/bin/env", "-i", *assigned, *image.entrypoint]
    script = builder.script(image, None, call, is_read_only=True)
    log = builder.work / "service.log"
    with open(log, "wb") as output:
        # Every step is an exec, so the process that is started is the service.
        service = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        for path in ("/healthz", "/readyz"):
            wait_for(service, f"http://127.0.0.1:{port}{path}", 60, log)
        proc = Path(f"/proc/{service.pid}")
        user = re.search(r"^Uid:\t(\d+)\t(\d+)\t(\d+)", (proc / "status").read_text(), re.M).groups()
        if set(user) != {image.user.split(":")[0]}:
            raise Failed(f"it runs as {user}, not as {image.user}")
        if not Path(os.readlink(proc / "exe")).name == Path(image.entrypoint[0]).name:
            raise Failed(f"{os.readlink(proc / 'exe')} runs, not {image.entrypoint[0]}")
        # By a file of nobody's own, so that the mount says no and not the rights.
        wrote = subprocess.run(["nsenter", f"--mount=/proc/{service.pid}/ns/mnt", "sh", "-c", f": >{shlex.quote(str(builder.work / 'root'))}/written"],
            capture_output=True, check=False)
        if wrote.returncode == 0:
            raise Failed("its root can be written to")
        service.send_signal(signal.SIGTERM)
        if (status := service.wait(15)) != 0:
            raise Failed(f"asked to stop, it ended with {status}\n{log.read_text(errors='replace')[-2000:]}")
    finally:
        if service.poll() is None:
            service.kill()
            service.wait()
    say(f"  /healthz and /readyz answer, as user {image.user} on a read-only root; it stops when it is asked to")


def wait_for(service, url, seconds, log):
    """Until the address answers 200."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
                problem = f"answers {answer.status}"
        except (urllib.error.URLError, ConnectionError) as error:
            problem = str(error)
        if service.poll() is not None or time.monotonic() > end:
            raise Failed(f"{url}: {problem}\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("functions", nargs="+")
    arguments = parser.parse_args()
    failures = []
    work = tempfile.mkdtemp(prefix="run.", dir=arguments.work)
    try:
        builder = Builder(os.getcwd(), arguments.base, work, arguments.target)
        for function in arguments.functions:
            path, given = f"functions/{function}/Dockerfile", {}
            if not os.path.exists(path):
                path = "functions/Dockerfile"
                lines = subprocess.run(["scripts/images/arguments", "--plain", function], text=True, capture_output=True, check=True).stdout
                given = dict(line.split("=", 1) for line in lines.splitlines())
            say(function)
            try:
                image = builder.build(path, given)
                check_image(builder, path, image)
                check_service(builder, image)
            except Failed as error:
                say(f"{function} FAILED: {error}")
                failures.append(function)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if failures:
        sys.exit(f"image-check: failed: {', '.join(failures)}")
    say(f"good: {', '.join(arguments.functions)} (on Debian 12 in place of the base images; nothing was checked on a GPU)")


if __name__ == "__main__":
    main()
