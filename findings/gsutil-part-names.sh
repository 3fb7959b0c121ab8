#!/usr/bin/env bash
# The parts of a gsutil parallel composite upload have no common beginning of their names.
#
# Package: gsutil 5.38 (pip). Run on Python 3.11.
# Guess before it was run: every part lies below "gsutil/tmp/parallel_composite_uploads/", as the parts of `gcloud storage cp` lie below
#   "gcloud/tmp/parallel_composite_uploads/" (and as the namespace in gsutil's documentation and warnings reads), so that a filter of a Pub/Sub
#   subscription, hasPrefix(attributes.objectId, "gsutil/tmp/"), or a lifecycle rule with that matches_prefix, meets them all.
# Seen: "7731915958/gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/cba826ef2358194281844bc59bb09467_0". Each upload puts a random number before
#   the namespace, which itself begins with a slash. No filter or rule by prefix can meet the parts; only a look at the whole name can.
#
# Calls the function of gsutil that names the parts of a file (no network). Fails when the names change.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gsutil==5.38
cd "$folder"
HOME=$folder "$folder/venv/bin/python" - <<'PYTHON'
import re

import gslib.parallel_tracker_file as tracker
from gslib.storage_url import StorageUrlFromString
from gslib.utils import copy_helper


def names():
    """The names of the parts of a file of 200 MiB, as one upload of it has them."""
    parts = copy_helper._PartitionFile(
        None, "video/mp4", StorageUrlFromString("gs://bucket"), 200 << 20, open("clip.mp4", "rb"), tracker.GenerateComponentObjectPrefix(),
        StorageUrlFromString("clip.mp4"), None, "tracker", None)
    return [part.dst_url.object_name for part in parts.values()]


open("clip.mp4", "wb").close()
one, other = names(), names()
print(*sorted(one)[:2], *sorted(other)[:1], sep="\n")
form = r"(\d+)/gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/[0-9a-f]{32}_\d+"
assert all(re.fullmatch(form, name) for name in one + other), one + other
assert one[0].split("/")[0] != other[0].split("/")[0], "two uploads begin alike"
PYTHON
