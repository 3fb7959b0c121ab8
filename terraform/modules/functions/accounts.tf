# Who the functions are and what they may touch. docs/deploy.md#who-may-do-what says why, line by line.

resource "google_service_account" "function" {
  for_each = local.shapes

  project      = var.project
  account_id   = "${var.name}-${each.key}"
  display_name = "Trackdrop: ${each.key}"
  description  = "Runs the function ${each.key}."
}

# Calls the functions, for Pub/Sub and the scheduler.
resource "google_service_account" "invoker" {
  project      = var.project
  account_id   = "${var.name}-invoker"
  display_name = "Trackdrop: invoker"
  description  = "Pub/Sub and Cloud Scheduler call the functions as this account."
}

locals {
  # Folders of `work` in which each function creates objects. `ended/` and `waiting_ends/`: any function may be the one that ends a request.
  writes_work = {
    split    = ["ended/", "indexed/", "split_chunks/", "uploaded/", "waiting_ends/"]
    track    = ["counted/track/", "detections/", "ended/", "tracked/", "waiting_ends/"]
    merge    = ["ended/", "merged/", "tracks/", "waiting_ends/"]
    load     = ["ended/", "loaded/", "loads/", "waiting_ends/"]
    annotate = ["annotated/", "counted/annotate/", "crops/", "ended/", "processed_chunks/", "waiting_ends/"]
    join     = ["ended/", "waiting_ends/"]
    # It counts a segment whose delivery became a dead letter although its result exists. And the sweeper runs in `fail`: it creates the marker that
    # a crash left out, records when it published which event again, and closes the window of ends that the scheduler never closed.
    fail = ["annotated/", "counted/annotate/", "counted/track/", "ended/", "loads/", "swept/", "tracked/", "waiting_ends/"]
  }
  # What the request setting `exports` may ask for: file names of `ExportFormat` in shared/pipeline.
  exports = [
    "coco.json", "cvat.xml", "mot.txt", "rekognition-persons.ndjson", "tracks.csv", "tracks.ndjson",
    "video-intelligence-streaming.ndjson", "video-intelligence.json",
  ]
  # Files of `results/<request_id>/` that each function writes. The manifest carries progress and the end.
  writes_results = {
    split    = ["manifest.json", "summary.json"]
    track    = ["manifest.json", "summary.json"]
    merge    = concat(["detections.parquet", "manifest.json", "summary.json", "tracks.parquet"], local.exports)
    load     = ["manifest.json", "summary.json"]
    annotate = ["manifest.json", "summary.json"]
    join     = ["annotated.mp4", "crops.parquet", "manifest.json", "summary.json"]
    fail     = ["manifest.json", "summary.json"]
  }
  # Functions that read the source itself: `join` for its sound, `fail` to describe what was never planned,
  # and its sweeper to find uploads that nothing took.
  reads_uploads = toset(["split", "join", "fail"])
  # Ending a request means counting what it made, so every function reads both. Listing can't be limited by a prefix, and
  # without the right to list a missing object answers 403 in place of 404.
  reads_both = { for pair in setproduct(keys(local.shapes), ["work", "results"]) : join("-", pair) => pair }

  # Metrics come from the log: nobody has to write any. A collector asks for no credentials.
  telemetry_roles = toset(var.otlp_endpoint == null ? ["roles/telemetry.tracesWriter"] : [])

  # Whose load jobs read files. BigQuery reads them as the function, and wants to see the bucket as well.
  loads_from = toset(["load"])
}

# Creating alone (roles/storage.objectCreator) does not do: an upload onto a name that exists is checked for the right to
# delete before its precondition, so the loser of a race would see 403 in place of the 412 that the handlers rest on.
resource "google_project_iam_custom_role" "object_writer" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_object_writer"
  title       = "Trackdrop: object writer"
  description = "Creates objects and replaces the manifest; granted for a function's own names only."
  permissions = ["storage.objects.create", "storage.objects.delete"]
}

resource "google_storage_bucket_iam_member" "reads" {
  for_each = local.reads_both

  bucket = var.buckets[each.value[1]]
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.function[each.value[0]].email}"
}

resource "google_storage_bucket_iam_member" "reads_uploads" {
  for_each = local.reads_uploads

  bucket = var.buckets["uploads"]
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.function[each.key].email}"
}

resource "google_storage_bucket_iam_member" "writes_work" {
  for_each = local.writes_work

  bucket = var.buckets["work"]
  role   = google_project_iam_custom_role.object_writer.id
  member = "serviceAccount:${google_service_account.function[each.key].email}"

  condition {
    title = "own-folders"
    expression = join(" || ", [
      for folder in each.value :
      "resource.name.startsWith(\"projects/_/buckets/${var.buckets["work"]}/objects/${folder}\")"
    ])
  }
}

resource "google_storage_bucket_iam_member" "writes_results" {
  for_each = local.writes_results

  bucket = var.buckets["results"]
  role   = google_project_iam_custom_role.object_writer.id
  member = "serviceAccount:${google_service_account.function[each.key].email}"

  condition {
    title      = "own-files"
    expression = join(" || ", [for file in each.value : "resource.name.endsWith(\"/${file}\")"])
  }
}

# The models that uploads may ask for. Without the right to list, one that is not there would answer 403.
resource "google_storage_bucket_iam_member" "reads_models" {
  for_each = toset([for place in concat(values(var.models), var.model_folders) : split("/", place)[2] if startswith(place, "gs://")])

  bucket = each.key
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.function["track"].email}"
}

# split looks with them at a few stretches of videos that choose for themselves how often they are looked at.
resource "google_storage_bucket_iam_member" "split_reads_models" {
  for_each = google_storage_bucket_iam_member.reads_models

  bucket = each.key
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.function["split"].email}"
}

# "Permissions to load data from Cloud Storage" of BigQuery's documentation names it beside the right to read the objects.
resource "google_project_iam_custom_role" "bucket_looker" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_bucket_looker"
  title       = "Trackdrop: bucket looker"
  description = "Reads the description of a bucket."
  permissions = ["storage.buckets.get"]
}

resource "google_storage_bucket_iam_member" "loads_from" {
  for_each = local.loads_from

  bucket = var.buckets["results"]
  role   = google_project_iam_custom_role.bucket_looker.id
  member = "serviceAccount:${google_service_account.function[each.key].email}"
}

resource "google_project_iam_member" "telemetry" {
  for_each = { for pair in setproduct(keys(local.shapes), local.telemetry_roles) : join(" ", pair) => pair }

  project = var.project
  role    = each.value[1]
  member  = "serviceAccount:${google_service_account.function[each.value[0]].email}"
}
