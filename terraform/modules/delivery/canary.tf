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
