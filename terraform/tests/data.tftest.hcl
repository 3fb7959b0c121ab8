# Buckets and tables: private, cleaned up, partitioned, and nobody may do more to them than append.

mock_provider "google" {}

variables {
  project                  = "a-project-id-of-thirty-letters"
  name                     = "trackdrop"
  location                 = "europe-west4"
  work_days                = 7
  detections_days          = 90
  uploads_days             = null
  soft_delete_days         = 7
  kms_key                  = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
  labels                   = {}
  dataset                  = "trackdrop"
  results_bucket           = "a-project-id-of-thirty-letters-trackdrop-results"
  require_partition_filter = false
  deletion_protection      = true
  function_accounts        = { for function in ["split", "track", "merge", "load", "annotate", "join", "fail"] : function => "${function}@example.com" }
}

run "buckets" {
  command = plan

  module {
    source = "./modules/storage"
  }

  assert {
    condition = alltrue([for bucket in google_storage_bucket.this :
      bucket.uniform_bucket_level_access == true && bucket.public_access_prevention == "enforced" && bucket.force_destroy == false
    ]) && toset(keys(google_storage_bucket.this)) == toset(["uploads", "work", "results"])
    error_message = "A bucket can be public, or is deleted with what is in it."
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : length(bucket.name) <= 63])
    error_message = "The name of a bucket is too long for a project id of 30 letters."
  }

  assert {
    condition = (
      google_storage_bucket.this["work"].soft_delete_policy[0].retention_duration_seconds == 0 &&
      google_storage_bucket.this["results"].soft_delete_policy[0].retention_duration_seconds == 604800
    )
    error_message = "Deleted chunks are kept and paid for, or deleted results can't be restored."
  }

  assert {
    condition = alltrue([for bucket in google_storage_bucket.this : length([
      for rule in bucket.lifecycle_rule : rule if one(rule.action).type == "AbortIncompleteMultipartUpload" && one(rule.condition).age == 1
    ]) == 1])
    error_message = "Aborted uploads stay."
  }

  assert {
    condition = { for rule in google_storage_bucket.this["work"].lifecycle_rule : one(rule.condition).age => one(rule.condition).matches_prefix if one(rule.action).type == "Delete" } == {
      "90" = tolist(["detections/"])
      "7" = tolist(["annotated/", "counted/", "ended/", "indexed/", "loaded/", "loads/", "merged/", "processed_chunks/", "split_chunks/", "swept/", "tracked/", "tracks/", "waiting_ends/"
      ])
    }
    error_message = "What the functions hand to each other is not cleaned up, or detections not kept longer."
  }

  assert {
    condition     = length([for rule in concat(google_storage_bucket.this["results"].lifecycle_rule, google_storage_bucket.this["uploads"].lifecycle_rule) : rule if one(rule.action).type == "Delete"]) == 0
    error_message = "Results or uploads are deleted."
  }

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.encryption[0].default_kms_key_name == var.kms_key])
    error_message = "The key does not encrypt the objects."
  }
}

run "warehouse" {
  module {
    source = "./modules/warehouse"
  }

  assert {
    condition = (
      google_bigquery_table.table["tracks"].time_partitioning[0].field == "uploaded_at" &&
      google_bigquery_table.table["tracks"].time_partitioning[0].type == "DAY" &&
      google_bigquery_table.table["tracks"].clustering == tolist(["request_id", "track_id"]) &&
      google_bigquery_table.table["requests"].time_partitioning[0].field == "uploaded_at"
    )
    error_message = "The tables are not partitioned by day of the upload and clustered."
  }

  assert {
    condition     = alltrue([for table in google_bigquery_table.table : table.deletion_protection == true]) && google_bigquery_dataset.this.delete_contents_on_destroy == false
    error_message = "Rows can be deleted by a mistake in Terraform."
  }

  # A view knows no dataset: no table may be left unqualified.
  assert {
    condition = alltrue([for view in google_bigquery_table.view :
      length(regexall("\\bFROM (tracks|requests|scenes)\\b", view.view[0].query)) == 0 &&
      length(regexall("FROM `a-project-id-of-thirty-letters\\.trackdrop\\.tracks`", view.view[0].query)) >= 1 &&
      view.view[0].use_legacy_sql == false
      ]) && keys(google_bigquery_table.view) == [
      "encounters", "flows", "heatmap", "line_counts", "line_crossings", "objects_per_second", "track_speeds", "track_summary",
      "tracking_results", "zone_occupancy", "zone_visits",
    ]
    error_message = "A view does not name its table in full."
  }

  assert {
    condition = (
      keys(google_bigquery_table_iam_member.tracks) == ["load"] &&
      length(google_bigquery_table_iam_member.requests) == 7 &&
      toset(google_project_iam_custom_role.row_loader.permissions) == toset(["bigquery.tables.get", "bigquery.tables.updateData"]) &&
      toset(google_project_iam_custom_role.request_recorder.permissions) == toset(["bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.updateData"]) &&
      toset(google_project_iam_custom_role.load_jobs.permissions) == toset(["bigquery.jobs.create", "bigquery.jobs.get"]) &&
      alltrue([for member in values(google_bigquery_table_iam_member.tracks) : member.role == google_project_iam_custom_role.row_loader.id]) &&
      alltrue([for member in values(google_bigquery_table_iam_member.requests) : member.role == google_project_iam_custom_role.request_recorder.id])
    )
    error_message = "Somebody may do more to the tables than append to them, or delete the row of a request that goes on."
  }
}
