# shellcheck shell=bash
# What build-images, deploy, promote, rollback and smoke-test share. Sourced, not run.

# Consumers first: a new producer meets consumers that know what it writes.
# shellcheck disable=SC2034 # used by the scripts that source this
FUNCTIONS=(fail load join annotate merge track split)
name=trackdrop
self=$(basename "$0")

say() { printf '%s: %s\n' "$self" "$*" >&2; }
die() {
  printf '%s: error: %s\n' "$self" "$*" >&2
  exit 1
}
need() { # variable option
  [[ -n ${!1:-} ]] || die "$2 is missing; $0 --help tells more"
}
usage() { # prints the comment that stands at the top of the script
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit 0
}

# images.json: {"commit": "...", "images": {"split": "REGISTRY/split@sha256:..."}}
image_of() { # images.json function
  local image
  image=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["images"].get(sys.argv[2], ""))' "$1" "$2") ||
    die "$1 can't be read: it is written by scripts/build-images"
  [[ $image =~ ^[a-z0-9.-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}$ ]] ||
    die "$1 names \"$image\" for $2: only a digest (REGISTRY/$2@sha256:...) says which bytes run"
  printf '%s\n' "$image"
}
commit_of() { # images.json
  python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["commit"])' "$1" || die "$1 names no commit"
}
