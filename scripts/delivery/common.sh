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
  [[ -n ${!1:-} ]] || die "$2 is missing; $0 --help says more"
}
usage() { # argument: prints the comment at the top of the script; anything but --help was a mistake
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  [[ $1 == -h || $1 == --help ]] && exit 0
  die "\"$1\" is not known; see above"
}

# Workers that pull are worker pools, which have no traffic to split: one region after the other gets the image, and all go back
# to what they ran. Uses `project`, `worker_regions` and IMAGES.
declare -A ran_before=()
update_workers() { # calls `back REASON` where one can't be updated
  local worker_region
  for worker_region in $worker_regions; do
    say "new workers in $worker_region"
    ran_before[$worker_region]=$(gcloud beta run worker-pools describe "$name-track" --project="$project" --region="$worker_region" --quiet \
      --format='value(spec.template.spec.containers[0].image)') || back "there are no workers in $worker_region"
    gcloud beta run worker-pools update "$name-track" --project="$project" --region="$worker_region" --quiet \
      --image="${IMAGES[track]}" >/dev/null || back "the workers in $worker_region were not updated"
  done
}
workers_back() {
  local worker_region
  for worker_region in "${!ran_before[@]}"; do
    gcloud beta run worker-pools update "$name-track" --project="$project" --region="$worker_region" --quiet \
      --image="${ran_before[$worker_region]}" >/dev/null || say "the workers in $worker_region did not go back to ${ran_before[$worker_region]}"
  done
}
# A pool keeps no tag on what it ran, but it keeps its revisions: of their images, the one that came before the newest.
previous_workers() { # region
  local image
  image=$(gcloud beta run worker-pools revisions list --worker-pool="$name-track" --project="$project" --region="$1" --quiet --format=json | python3 -c '
import json, sys
revisions = sorted(json.load(sys.stdin) or [], key=lambda revision: revision["metadata"]["creationTimestamp"])
images = list(dict.fromkeys(revision["spec"]["containers"][0]["image"] for revision in revisions))
if len(images) < 2:
    sys.exit("there was no other image")
print(images[-2])
') && gcloud beta run worker-pools update "$name-track" --project="$project" --region="$1" --quiet --image="$image" >/dev/null
}

# images.json: {"commit": "...", "images": {"split": "REGISTRY/split@sha256:..."}}
# Sets `commit`, and IMAGES for every one of FUNCTIONS.
declare -A IMAGES=()
read_images() { # images.json
  [[ -f $1 ]] || die "there is no $1: scripts/delivery/build-images writes it"
  local function image lines
  lines=$(python3 -c '
import json, sys
record = json.load(open(sys.argv[1], encoding="utf-8"))
print("commit", record["commit"])
for function, image in record["images"].items():
    print(function, image)
' "$1") || die "$1 can't be read: it is written by scripts/delivery/build-images"
  while read -r function image; do IMAGES[$function]=$image; done <<<"$lines"
  # shellcheck disable=SC2034 # used by the scripts that source this
  commit=${IMAGES[commit]}
  for function in "${FUNCTIONS[@]}"; do
    [[ ${IMAGES[$function]:-} =~ ^[a-z0-9.-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}$ ]] ||
      die "$1 names \"${IMAGES[$function]:-}\" for $function: only a digest (REGISTRY/$function@sha256:...) says which bytes run"
  done
}
