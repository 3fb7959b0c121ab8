# Three private buckets. `work` holds what the functions hand to each other, so it cleans up after itself.

locals {
  lifecycle = {
    uploads = var.uploads_days == null ? {} : { "everything" = { prefixes = null, days = var.uploads_days } }
    results = {}
    work = {
      # Re-tracking reads the detections long after the chunks are gone.
      "detections" = { prefixes = ["detections/"], days = var.detections_days }
      "rest" = {
        prefixes = [
          "annotated/", "counted/", "ended/", "indexed/", "loaded/", "loads/", "merged/", "processed_chunks/",
          "split_chunks/", "swept/", "tracked/", "tracks/", "waiting_ends/",
        ]
        days = var.work_days
      }
    }
  }
}

resource "google_storage_bucket" "this" {
  for_each = local.lifecycle

  project                     = var.project
  name                        = "${var.project}-${var.name}-${each.key}"
  location                    = upper(var.location)
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  labels                      = var.labels

  # On by default and billed: seven days of every chunk for nothing.
  soft_delete_policy {
    retention_duration_seconds = each.key == "work" ? 0 : var.soft_delete_days * 86400
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value.days
        matches_prefix = lifecycle_rule.value.prefixes
      }
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }
}
