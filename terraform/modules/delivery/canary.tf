# Production: a canary a function. A share of the deliveries goes to the new revision; where an alert fires during its
# analysis the rollout fails, and the automation rolls it back without asking anybody.

resource "google_clouddeploy_target" "production" {
  project          = var.project
  location         = var.region
  name             = "${var.name}-production"
  description      = "The services of this project."
  require_approval = var.require_approval
  labels           = var.labels

  run {
    location = "projects/${var.project}/locations/${var.region}"
  }

  execution_configs {
    usages            = ["RENDER", "DEPLOY", "VERIFY", "ANALYSIS"]
    service_account   = google_service_account.deployer.email
    artifact_storage  = "gs://${google_storage_bucket.delivery.name}/artifacts"
    execution_timeout = "3600s"
  }
}

resource "google_clouddeploy_delivery_pipeline" "function" {
  for_each = var.services

  project     = var.project
  location    = var.region
  name        = "${var.name}-${each.key}"
  description = "Canary of ${each.key}."
  labels      = var.labels

  serial_pipeline {
    stages {
      target_id = google_clouddeploy_target.production.name
      strategy {
        canary {
          runtime_config {
            cloud_run {
              automatic_traffic_control = true
            }
          }
          canary_deployment {
            # Of two or three GPU instances 5 % is nobody.
            percentages = each.key == "track" ? [25, 50] : [5, 25, 50]
            verify      = false
            analysis {
              # Longer than an alert needs to see a fault: a rate window of 5 minutes, its duration, and the metrics' delay.
              duration = "${var.analysis_s}s"
              google_cloud {
                alert_policy_checks {
                  id             = "alerts"
                  alert_policies = var.canary_alerts
                }
              }
            }
          }
        }
      }
    }
  }
}

resource "google_clouddeploy_automation" "function" {
  for_each = google_clouddeploy_delivery_pipeline.function

  project           = var.project
  location          = var.region
  name              = "${var.name}-${each.key}"
  description       = "Advances the canary of ${each.key} while all is well, rolls it back when it is not."
  delivery_pipeline = each.value.name
  service_account   = google_service_account.deployer.email

  selector {
    targets {
      id = google_clouddeploy_target.production.name
    }
  }

  rules {
    advance_rollout_rule {
      id   = "advance"
      wait = "60s"
    }
  }
  rules {
    repair_rollout_rule {
      id = "roll-back"
      # All jobs, all phases. A pending rollout must not stop a rollback.
      repair_phases {
        rollback {
          disable_rollback_if_rollout_pending = false
        }
      }
    }
  }
}

# What Cloud Deploy renders, and the manifests of releases. Its default bucket is made by the first caller, who would have to
# be allowed to make buckets.
resource "google_storage_bucket" "delivery" {
  project                     = var.project
  name                        = "${var.project}-${var.name}-delivery"
  location                    = upper(var.region)
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true
  labels                      = var.labels

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 180
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }
}

# Objects, and looking at the bucket itself, which gcloud does before it uploads.
resource "google_storage_bucket_iam_member" "delivery" {
  for_each = toset(["roles/storage.legacyBucketReader", "roles/storage.objectUser"])

  bucket = google_storage_bucket.delivery.name
  role   = each.key
  member = "serviceAccount:${google_service_account.deployer.email}"
}
