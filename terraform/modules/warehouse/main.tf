# The dataset, its tables and its views. The files in schema/ are written by `trackdrop schema bigquery`.

locals {
  schema = "${path.module}/schema"
  tables = {
    tracks   = { partition = "uploaded_at", cluster = ["request_id", "track_id"] }
    requests = { partition = "uploaded_at", cluster = ["request_id"] }
  }
  views = { for file in fileset(local.schema, "*.sql") : trimsuffix(file, ".sql") => file("${local.schema}/${file}") }
  # A view has no default dataset: the tables it names get their full names.
  qualified = { for view, sql in local.views :
    view => replace(sql, "/\\bFROM (tracks|requests|scenes)\\b/", "FROM `${var.project}.${var.dataset}.$1`")
  }
  # The same questions as the views of scenes, of the uploads of a span: only its partitions are read.
  functions = { for file in fileset(local.schema, "*.function") : trimsuffix(file, ".function") =>
    replace(file("${local.schema}/${file}"), "/\\bFROM (tracks|requests|scenes)\\b/", "FROM `${var.project}.${var.dataset}.$1`")
  }
  load_functions = toset(["load"])
}

resource "google_bigquery_dataset" "this" {
  project                    = var.project
  dataset_id                 = var.dataset
  location                   = var.location
  description                = "Object tracks of videos: one row per object per frame."
  labels                     = var.labels
  delete_contents_on_destroy = false

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "table" {
  for_each = local.tables

  project                  = var.project
  dataset_id               = google_bigquery_dataset.this.dataset_id
  table_id                 = each.key
  schema                   = file("${local.schema}/${each.key}.json")
  clustering               = each.value.cluster
  require_partition_filter = var.require_partition_filter
  deletion_protection      = var.deletion_protection
  labels                   = var.labels

  time_partitioning {
    type  = "DAY"
    field = each.value.partition
  }
}

# Scenes are objects that `trackdrop scene add --google` writes: the table reads them whenever it is asked.
resource "google_bigquery_table" "scenes" {
  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = "scenes"
  deletion_protection = false
  labels              = var.labels

  external_data_configuration {
    autodetect    = false
    source_format = "NEWLINE_DELIMITED_JSON"
    source_uris   = ["gs://${var.results_bucket}/scenes/*.ndjson"]
    schema        = file("${local.schema}/scenes.json")
  }

  depends_on = [google_storage_bucket_object.no_scenes]
}

# A pattern that no object matches is an error: this one is empty and always there.
resource "google_storage_bucket_object" "no_scenes" {
  bucket       = var.results_bucket
  name         = "scenes/.none.ndjson"
  content      = "\n"
  content_type = "application/x-ndjson"
}

resource "google_bigquery_routine" "function" {
  for_each = local.functions

  project         = var.project
  dataset_id      = google_bigquery_dataset.this.dataset_id
  routine_id      = each.key
  routine_type    = "TABLE_VALUED_FUNCTION"
  language        = "SQL"
  definition_body = each.value

  arguments {
    name      = "since"
    data_type = jsonencode({ typeKind = "TIMESTAMP" })
  }

  arguments {
    name      = "until"
    data_type = jsonencode({ typeKind = "TIMESTAMP" })
  }

  depends_on = [google_bigquery_table.table, google_bigquery_table.scenes]
}

resource "google_bigquery_table" "view" {
  for_each = local.qualified

  project             = var.project
  dataset_id          = google_bigquery_dataset.this.dataset_id
  table_id            = each.key
  deletion_protection = false
  labels              = var.labels

  view {
    query          = each.value
    use_legacy_sql = false
  }

  depends_on = [google_bigquery_table.table, google_bigquery_table.scenes]
}

# --- Rights -----------------------------------------------------------------------------------------------------------

# roles/bigquery.jobUser can't read a job of somebody else: when two functions end the same request, the second finds the
# first one's job by its deterministic id and has to read how it went.
resource "google_project_iam_custom_role" "load_jobs" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_load_jobs"
  title       = "Trackdrop: load jobs"
  description = "Starts load jobs and reads their state."
  permissions = ["bigquery.jobs.create", "bigquery.jobs.get"]
}

# roles/bigquery.dataEditor could also delete the table.
resource "google_project_iam_custom_role" "row_loader" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_row_loader"
  title       = "Trackdrop: row loader"
  description = "Appends rows to a table."
  permissions = ["bigquery.tables.get", "bigquery.tables.updateData"]
}

# Who ends a request that had failed and was opened again deletes the failed row, and DELETE reads the rows that it looks through.
resource "google_project_iam_custom_role" "request_recorder" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_request_recorder"
  title       = "Trackdrop: request recorder"
  description = "Appends rows to a table and deletes rows of it."
  permissions = ["bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.updateData"]
}

resource "google_project_iam_member" "load_jobs" {
  for_each = var.function_accounts

  project = var.project
  role    = google_project_iam_custom_role.load_jobs.id
  member  = "serviceAccount:${each.value}"
}

# Any function may be the one that ends a request and records it.
resource "google_bigquery_table_iam_member" "requests" {
  for_each = var.function_accounts

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.table["requests"].table_id
  role       = google_project_iam_custom_role.request_recorder.id
  member     = "serviceAccount:${each.value}"
}

resource "google_bigquery_table_iam_member" "tracks" {
  for_each = local.load_functions

  project    = var.project
  dataset_id = google_bigquery_dataset.this.dataset_id
  table_id   = google_bigquery_table.table["tracks"].table_id
  role       = google_project_iam_custom_role.row_loader.id
  member     = "serviceAccount:${var.function_accounts[each.key]}"
}
