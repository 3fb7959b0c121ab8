# Delivery and alerts: a canary that an alert stops, rolled back by itself; a runbook page an alert.

mock_provider "google" {}

variables {
  project = "a-project-id-of-thirty-letters"
  region  = "europe-west4"
  name    = "trackdrop"
  kms_key = null
  labels  = {}
}

run "delivery" {
  command = plan

  module {
    source = "./modules/delivery"
  }

  variables {
    services               = { for function in ["split", "track", "merge", "load", "annotate", "join", "fail"] : function => "trackdrop-${function}" }
    worker_pools           = {}
    worker_regions         = ["us-east4", "europe-west4"]
    console                = null
    account_ids            = { for function in ["split", "track", "merge", "load", "annotate", "join", "fail"] : function => "projects/p/serviceAccounts/${function}@example.com" }
    buckets                = { uploads = "b-uploads", work = "b-work", results = "b-results" }
    dataset                = "trackdrop"
    github                 = { repository_id = "123456789", branch = "main" }
    staging                = { project_number = "42", deployer = "trackdrop-deployer@staging.iam.gserviceaccount.com" }
    cloud_build_repository = "projects/p/locations/europe-west4/connections/c/repositories/r"
    canary_alerts          = ["projects/p/alertPolicies/1"]
    analysis_s             = 900
    require_approval       = true
  }

  assert {
    condition = alltrue([for function, pipeline in google_clouddeploy_delivery_pipeline.function :
      pipeline.serial_pipeline[0].stages[0].strategy[0].canary[0].runtime_config[0].cloud_run[0].automatic_traffic_control == true &&
      pipeline.serial_pipeline[0].stages[0].strategy[0].canary[0].canary_deployment[0].percentages == tolist(function == "track" ? [25, 50] : [5, 25, 50])
    ]) && length(google_clouddeploy_delivery_pipeline.function) == 7
    error_message = "A function has no canary."
  }

  assert {
    condition = alltrue([for pipeline in google_clouddeploy_delivery_pipeline.function :
      pipeline.serial_pipeline[0].stages[0].strategy[0].canary[0].canary_deployment[0].analysis[0].duration == "900s" &&
      pipeline.serial_pipeline[0].stages[0].strategy[0].canary[0].canary_deployment[0].analysis[0].google_cloud[0].alert_policy_checks[0].alert_policies == tolist(["projects/p/alertPolicies/1"])
    ])
    error_message = "A canary is not watched by the alerts."
  }

  assert {
    condition = alltrue([for automation in google_clouddeploy_automation.function :
      length([for rule in automation.rules : rule if length(rule.advance_rollout_rule) == 1]) == 1 &&
      [for rule in automation.rules : rule.repair_rollout_rule[0].repair_phases[0].rollback[0].disable_rollback_if_rollout_pending if length(rule.repair_rollout_rule) == 1] == [false]
    ]) && length(google_clouddeploy_automation.function) == 7
    error_message = "A failed canary is not rolled back by itself, or a pending rollout stops the rollback."
  }

  assert {
    condition     = google_clouddeploy_target.production.require_approval == true && contains(google_clouddeploy_target.production.execution_configs[0].usages, "ANALYSIS")
    error_message = "The approval that was asked for is not, or the analysis runs as another account."
  }

  assert {
    condition = (
      strcontains(google_iam_workload_identity_pool_provider.github[0].attribute_condition, "assertion.repository_id == \"123456789\"") &&
      strcontains(google_iam_workload_identity_pool_provider.github[0].attribute_condition, "assertion.ref == \"refs/heads/main\"") &&
      toset(keys(google_service_account_iam_member.github)) == toset(["builder", "deployer"])
    )
    error_message = "Any repository or branch could deploy."
  }

  assert {
    condition = (
      toset([for member in google_project_iam_member.deployer : member.role]) == toset([
        "roles/bigquery.jobUser", "roles/cloudbuild.readTokenAccessor", "roles/clouddeploy.jobRunner", "roles/clouddeploy.releaser", "roles/logging.logWriter",
        "roles/monitoring.alertPolicyViewer", "roles/ondemandscanning.admin", "roles/serviceusage.serviceUsageConsumer",
      ]) &&
      toset([for member in google_project_iam_member.builder : member.role]) == toset(["roles/logging.logWriter", "roles/ondemandscanning.admin"]) &&
      alltrue([for member in google_cloud_run_v2_service_iam_member.deployer : member.role == "roles/run.developer"]) &&
      length(google_cloud_run_v2_service_iam_member.deployer) == 7 &&
      length(google_service_account_iam_member.acts_as) == 8
    )
    error_message = "Whoever builds or deploys may do more, or less, than that."
  }

  assert {
    condition = { for member in google_artifact_registry_repository_iam_member.staging : member.member => member.role } == {
      "serviceAccount:service-42@serverless-robot-prod.iam.gserviceaccount.com" = "roles/artifactregistry.reader"
      "serviceAccount:trackdrop-deployer@staging.iam.gserviceaccount.com"       = "roles/artifactregistry.writer"
    }
    error_message = "Staging can't run the images, or can't mark what it tested."
  }

  assert {
    condition     = google_cloudbuild_trigger.main[0].substitutions == tomap({ _REGION = "europe-west4", _WORKER_REGIONS = "us-east4 europe-west4" })
    error_message = "Cloud Build does not know where to deploy."
  }

  assert {
    condition     = google_storage_bucket_iam_member.smoke_uploads.condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/b-uploads/objects/smoke-test/\")"
    error_message = "The smoke test may write anywhere in uploads."
  }

  assert {
    condition = (
      google_artifact_registry_repository.images.cleanup_policy_dry_run == false &&
      toset([for policy in google_artifact_registry_repository.images.cleanup_policies : policy.action]) == toset(["KEEP", "DELETE"])
    )
    error_message = "Old images stay, or recent ones go."
  }

  assert {
    condition = (
      google_storage_bucket.delivery.public_access_prevention == "enforced" && length(google_storage_bucket.delivery.name) <= 63 &&
      google_clouddeploy_target.production.execution_configs[0].artifact_storage == "gs://${google_storage_bucket.delivery.name}/artifacts"
    )
    error_message = "What is rendered can be public, or lies in a bucket that the deployer would have to make."
  }

  assert {
    condition = alltrue([for account in [google_service_account.builder, google_service_account.deployer] : length(account.account_id) <= 30]) && alltrue(
    [for pipeline in google_clouddeploy_delivery_pipeline.function : length(pipeline.name) <= 63]) && length(google_iam_workload_identity_pool.github[0].workload_identity_pool_id) <= 32
    error_message = "A name is too long."
  }
}

run "observability" {
  command = plan

  module {
    source = "./modules/observability"
  }

  variables {
    project_number            = "123456789012"
    subscriptions             = { track = "trackdrop-track", split = "trackdrop-split" }
    dead_letter_subscriptions = { dead-letters = "trackdrop-dead-letters", undeliverable = "trackdrop-undeliverable" }
    pulled                    = []
    workers_wanted            = {}
    alert_emails              = ["oncall@example.com"]
    notification_channels     = ["projects/p/notificationChannels/1"]
    runbook_url               = "https://docs.example/runbook"
    oldest_message_s          = 1800
    error_ratio               = 0.05
    stage_latency_s           = 300
    stalled_after_s           = 7200
    failed_requests           = 10
    objective                 = 0.995
    gpu_hour_price            = 1.05
    currency                  = "USD"
    budget                    = { billing_account = "012345-6789AB-CDEF01", amount = 500, currency = "EUR" }
  }

  assert {
    condition = toset(keys(google_monitoring_alert_policy.this)) == toset([
      "dead-letters", "error-ratio", "failed-requests", "oldest-message", "stage-latency", "stalled-requests",
    ])
    error_message = "An alert is missing."
  }

  assert {
    condition = alltrue([for anchor in concat(keys(google_monitoring_alert_policy.this), ["burn-rate", "budget"]) :
      strcontains(file("../docs/runbook.md"), "\n## ${anchor}\n")
    ])
    error_message = "An alert has no page in docs/runbook.md."
  }

  assert {
    condition = alltrue([for anchor, policy in google_monitoring_alert_policy.this :
      policy.documentation[0].links[0].url == "https://docs.example/runbook#${anchor}" &&
      strcontains(policy.documentation[0].content, "https://docs.example/runbook#${anchor}") &&
      policy.conditions[0].condition_prometheus_query_language[0].disable_metric_validation == true
    ])
    error_message = "An alert does not lead to its page, or is refused while its metric has no points."
  }

  assert {
    condition = (
      strcontains(google_monitoring_alert_policy.this["dead-letters"].conditions[0].condition_prometheus_query_language[0].query, "trackdrop-dead-letters|trackdrop-undeliverable") &&
      endswith(google_monitoring_alert_policy.this["dead-letters"].conditions[0].condition_prometheus_query_language[0].query, "> 0") &&
      endswith(google_monitoring_alert_policy.this["oldest-message"].conditions[0].condition_prometheus_query_language[0].query, "> 1800") &&
      endswith(google_monitoring_alert_policy.this["stage-latency"].conditions[0].condition_prometheus_query_language[0].query, "> 300000") &&
      strcontains(google_monitoring_alert_policy.this["error-ratio"].conditions[0].condition_prometheus_query_language[0].query, "> 0.05") &&
      strcontains(google_monitoring_alert_policy.this["stalled-requests"].conditions[0].condition_prometheus_query_language[0].query, "offset 7200s") &&
      strcontains(google_monitoring_alert_policy.this["stalled-requests"].conditions[0].condition_prometheus_query_language[0].query, "requests_still{monitored_resource=\"cloud_run_revision\"}[1h])) > 0 or ") &&
      endswith(google_monitoring_alert_policy.this["failed-requests"].conditions[0].condition_prometheus_query_language[0].query, "> 10")
    )
    error_message = "An alert fires at another point than it says."
  }

  assert {
    condition = (
      google_billing_budget.this[0].amount[0].specified_amount[0].units == "500" &&
      google_billing_budget.this[0].amount[0].specified_amount[0].currency_code == "EUR" &&
      toset([for rule in google_billing_budget.this[0].threshold_rules : rule.threshold_percent]) == toset([0.5, 0.9, 1, 1.2])
    )
    error_message = "The budget does not alert at 50, 90, 100 and 120 %."
  }

  assert {
    condition = toset([for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : tile.widget.title]) == toset([
      "Cost of the GPUs a video-hour", "Dead letters", "Redeliveries, an hour", "Frames a second a GPU", "Instances", "Oldest delivery that waits",
      "Requests by state, an hour", "Seconds a segment", "Segments waiting",
      "Stage latency, 95th percentile",
    ])
    error_message = "The dashboard lacks a chart."
  }

  assert {
    condition = alltrue([for metric in google_logging_metric.measure :
      toset(keys(metric.label_extractors)) == toset([for label in metric.metric_descriptor[0].labels : label.key]) &&
      metric.metric_descriptor[0].value_type == "DISTRIBUTION"
    ])
    error_message = "The labels of a metric and their extractors differ: it would be refused."
  }
}

run "observability_of_workers_that_pull" {
  command = plan

  module {
    source = "./modules/observability"
  }

  variables {
    project_number            = "123456789012"
    subscriptions             = { track = "trackdrop-track", split = "trackdrop-split" }
    dead_letter_subscriptions = { dead-letters = "trackdrop-dead-letters" }
    pulled                    = ["track"]
    workers_wanted            = { backlog = "vector(1)", age = "vector(2)" }
    alert_emails              = []
    notification_channels     = []
    runbook_url               = null
    oldest_message_s          = 1800
    error_ratio               = 0.05
    stage_latency_s           = 300
    stalled_after_s           = 7200
    failed_requests           = 10
    objective                 = 0.995
    gpu_hour_price            = 1.05
    currency                  = "USD"
    budget                    = null
  }

  # They answer no requests: what they log is what is known of them.
  assert {
    condition = alltrue([for title in ["Seconds a segment", "Frames a second a GPU", "Cost of the GPUs a video-hour"] :
      strcontains(join(" ", [for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : jsonencode(tile.widget) if tile.widget.title == title]), "cloud_run_worker_pool") &&
      !strcontains(join(" ", [for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : jsonencode(tile.widget) if tile.widget.title == title]), "cloud_run_revision")
    ])
    error_message = "A chart of the GPUs looks for a service, where workers pull."
  }

  assert {
    condition = one([for tile in jsondecode(google_monitoring_dashboard.this.dashboard_json).mosaicLayout.tiles : [
      for set in tile.widget.xyChart.dataSets : set.timeSeriesQuery.prometheusQuery] if tile.widget.title == "Workers wanted"
    ]) == ["vector(2)", "vector(1)"]
    error_message = "The dashboard does not show what drives the workers."
  }

  assert {
    condition = (
      strcontains(google_monitoring_alert_policy.this["stage-latency"].conditions[0].condition_prometheus_query_language[0].query, "segment_seconds_bucket{monitored_resource=\"cloud_run_worker_pool\",function=\"track\"}[15m]))) > 300") &&
      strcontains(google_monitoring_alert_policy.this["error-ratio"].conditions[0].condition_prometheus_query_language[0].query, "deliveries_failed{monitored_resource=\"cloud_run_worker_pool\"}[5m])) >= 3") &&
      strcontains(google_monitoring_alert_policy.this["failed-requests"].conditions[0].condition_prometheus_query_language[0].query, "requests_failed{monitored_resource=\"cloud_run_worker_pool\"}[15m]")
    )
    error_message = "An alert does not see the workers that pull."
  }

  assert {
    condition     = alltrue([for anchor, policy in google_monitoring_alert_policy.this : length(policy.documentation[0].links) == 0 && strcontains(policy.documentation[0].content, "docs/runbook.md#${anchor}")])
    error_message = "Without an address of the runbook an alert does not name its page."
  }
}
