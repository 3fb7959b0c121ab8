# What the logs count, what wakes somebody up, and what that person reads first (docs/runbook.md).

locals {
  # What shared/framework and shared/flow log, which scripts/checks/contract.py checks: "delivery done" with its work (none where
  # an earlier attempt had done it), "request done" and "request failed", and what the sweeper finds.
  services = "resource.type=(\"cloud_run_revision\" OR \"cloud_run_worker_pool\") AND (resource.labels.service_name=~\"^${var.name}-\" OR resource.labels.worker_pool_name=~\"^${var.name}-\")"

  counters = {
    requests_done   = { message = "request done", description = "Requests that ended well." }
    requests_failed = { message = "request failed", description = "Requests that ended with a reason." }
    # The reason follows.
    deliveries_failed = { begins = "failed, will be delivered again", description = "Deliveries that failed transiently and are redelivered." }
    uploads_ignored   = { message = "upload ignored", description = "Uploads that make no request: the ignored patterns match their name, they are empty, or they repeat an upload." }
    requests_still    = { message = "request stalled", description = "Requests that the sweeper found stalled, each time." }
  }
  measures = {
    segment_seconds = { message = "delivery done", field = "seconds", unit = "s", description = "Seconds of work a delivery." }
    frames          = { message = "delivery done", field = "frames", unit = "1", description = "Frames a delivery." }
    video_seconds   = { message = "delivery done", field = "video_seconds", unit = "s", description = "Seconds of video a delivery." }
  }
}

resource "google_logging_metric" "counter" {
  for_each = local.counters

  project     = var.project
  name        = "${var.name}/${each.key}"
  description = each.value.description
  filter      = "${local.services} AND ${can(each.value.message) ? "jsonPayload.message=\"${each.value.message}\"" : "jsonPayload.message=~\"^${each.value.begins}\""}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

resource "google_logging_metric" "measure" {
  for_each = local.measures

  project         = var.project
  name            = "${var.name}/${each.key}"
  description     = each.value.description
  filter          = "${local.services} AND jsonPayload.message=\"${each.value.message}\" AND jsonPayload.${each.value.field}>=0"
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"
  label_extractors = {
    "function" = "EXTRACT(jsonPayload.function)"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
    labels {
      key         = "function"
      value_type  = "STRING"
      description = "The function."
    }
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 40
      growth_factor      = 1.5
      scale              = 0.01
    }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  project      = var.project
  display_name = "Trackdrop: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
}

# --- Alerts -----------------------------------------------------------------------------------------------------------

locals {
  runbook  = coalesce(var.runbook_url, "docs/runbook.md")
  channels = concat([for channel in google_monitoring_notification_channel.email : channel.name], var.notification_channels)

  subscription = "monitored_resource=\"pubsub_subscription\""
  run          = "monitored_resource=\"cloud_run_revision\",service_name=~\"${var.name}-.*\""

  pulled_failed = "sum(increase(${local.log_metric}_deliveries_failed{monitored_resource=\"cloud_run_worker_pool\"}[5m]))"
  pulled_done   = "sum(increase(${local.log_metric}_segment_seconds_count{${local.of_track_log}}[5m]))"

  # Each key is the anchor of its page in docs/runbook.md. `canary` alerts fail a rollout.
  alerts = {
    dead-letters = {
      severity = "ERROR", for_s = 0, canary = true
      what     = "A delivery became a dead letter: its request failed."
      query    = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{${local.subscription},subscription_id=~\"${join("|", values(var.dead_letter_subscriptions))}\"}) > 0"
    }
    oldest-message = {
      severity = "WARNING", for_s = 300, canary = false
      what     = "Deliveries wait longer than they should: too few instances, or a stage that fails."
      query    = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.subscription},subscription_id=~\"${join("|", values(var.subscriptions))}\"}) > ${var.oldest_message_s}"
    }
    error-ratio = {
      severity = "ERROR", for_s = 120, canary = true
      what     = "A service answers too many deliveries with an error."
      # 429 is a full service and not an error; it shows as age.
      query = join(" or ", concat(
        ["((sum by (service_name) (rate(run_googleapis_com:request_count{${local.run},response_code_class=\"5xx\"}[5m])) / sum by (service_name) (rate(run_googleapis_com:request_count{${local.run}}[5m]))) > ${var.error_ratio} and sum by (service_name) (increase(run_googleapis_com:request_count{${local.run},response_code_class=\"5xx\"}[5m])) >= 3)"],
        # Workers that pull answer nobody; they log what they return.
        local.pulls ? ["((${local.pulled_failed} / (${local.pulled_failed} + (${local.pulled_done} or vector(0)))) > ${var.error_ratio} and ${local.pulled_failed} >= 3)"] : [],
      ))
    }
    stage-latency = {
      severity = "WARNING", for_s = 300, canary = true
      what     = "A stage takes longer than its objective; at 585 s its deliveries fail."
      query = join(" or ", concat(
        ["histogram_quantile(0.95, sum by (service_name, le) (rate(run_googleapis_com:request_latencies_bucket{${local.run}}[15m]))) > ${var.stage_latency_s * 1000}"],
        local.pulls ? ["histogram_quantile(0.95, sum by (le) (rate(${local.log_metric}_segment_seconds_bucket{${local.of_track_log}}[15m]))) > ${var.stage_latency_s}"] : [],
      ))
    }
    stalled-requests = {
      severity = "ERROR", for_s = 900, canary = false
      what     = "Videos were uploaded and no end of their requests was published."
      # The end of each upload that split acknowledged is published at least once; ignored uploads, which make no request, are subtracted.
      # Counted are uploads of the half day before the patience, and ends of the half day and the patience. (An alert looks back a day at most.)
      query = join(" or ", [
        # The sweeper knows which. Without it:
        "sum(increase(${local.log_metric}_requests_still{monitored_resource=\"cloud_run_revision\"}[1h])) > 0",
        "(sum(increase(pubsub_googleapis_com:subscription_push_request_count{${local.subscription},subscription_id=\"${var.name}-split\",response_class=\"ack\"}[12h] offset ${var.stalled_after_s}s)) - (sum(increase(${local.log_metric}_uploads_ignored{monitored_resource=\"cloud_run_revision\"}[12h] offset ${var.stalled_after_s}s)) or vector(0)) - (sum(increase(pubsub_googleapis_com:topic_message_sizes_count{monitored_resource=\"pubsub_topic\",topic_id=\"${var.name}-requests\"}[${43200 + var.stalled_after_s}s])) or vector(0))) > 0.5",
      ])
    }
    failed-requests = {
      severity = "WARNING", for_s = 0, canary = true
      what     = "Many requests fail: bad videos, or a bug of ours."
      query    = "sum(${replace(local.counted["requests_failed"], "%s", "15m")}) > ${var.failed_requests}"
    }
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project
  display_name          = "Trackdrop: ${each.key}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = merge(var.labels, { product = "trackdrop" })

  conditions {
    display_name = each.value.what
    condition_prometheus_query_language {
      query               = each.value.query
      duration            = "${each.value.for_s}s"
      evaluation_interval = "60s"
      # A metric that no log line has made yet would be a 404 for the first ten minutes of a project.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "Trackdrop: ${each.key}"
    content   = "${each.value.what}\n\nWhat to look at and what to do: ${local.runbook}#${each.key}"
    dynamic "links" {
      for_each = var.runbook_url == null ? [] : ["${local.runbook}#${each.key}"]
      content {
        display_name = "Runbook"
        url          = links.value
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.counter, google_logging_metric.measure]
}

# --- The objective, and how fast its budget burns -----------------------------------------------------------------------

resource "google_monitoring_custom_service" "this" {
  project      = var.project
  service_id   = var.name
  display_name = "Trackdrop"
}

resource "google_monitoring_slo" "deliveries" {
  project             = var.project
  service             = google_monitoring_custom_service.this.service_id
  slo_id              = "deliveries"
  display_name        = "Deliveries that are answered well, over 28 days"
  goal                = var.objective
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" resource.label.service_name=monitoring.regex.full_match(\"${var.name}-.*\")"
      bad_service_filter   = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\" resource.label.service_name=monitoring.regex.full_match(\"${var.name}-.*\") metric.label.response_code_class=\"5xx\""
    }
  }
}

resource "google_monitoring_alert_policy" "burn_rate" {
  project               = var.project
  display_name          = "Trackdrop: burn-rate"
  combiner              = "AND"
  severity              = "ERROR"
  notification_channels = local.channels
  user_labels           = merge(var.labels, { product = "trackdrop" })

  # At ten times the allowed rate the month's budget is gone in three days; both windows, so that a blip is no alert.
  dynamic "conditions" {
    for_each = { "3600s" = 10, "300s" = 10 }
    content {
      display_name = "Error budget burns ${conditions.value} times too fast over ${conditions.key}"
      condition_threshold {
        filter          = "select_slo_burn_rate(\"${google_monitoring_slo.deliveries.id}\", \"${conditions.key}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = conditions.value
        duration        = "0s"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "Trackdrop: burn-rate"
    content   = "The objective will be missed if this goes on.\n\nWhat to look at and what to do: ${local.runbook}#burn-rate"
    dynamic "links" {
      for_each = var.runbook_url == null ? [] : ["${local.runbook}#burn-rate"]
      content {
        display_name = "Runbook"
        url          = links.value
      }
    }
  }
}

# --- The budget -------------------------------------------------------------------------------------------------------

resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "Trackdrop: ${var.project}"

  budget_filter {
    projects = ["projects/${var.project_number}"]
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = { "0.5" = "CURRENT_SPEND", "0.9" = "CURRENT_SPEND", "1.0" = "CURRENT_SPEND", "1.2" = "FORECASTED_SPEND" }
    content {
      threshold_percent = tonumber(threshold_rules.key)
      spend_basis       = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = slice(local.channels, 0, min(5, length(local.channels)))
    disable_default_iam_recipients   = false
  }
}
