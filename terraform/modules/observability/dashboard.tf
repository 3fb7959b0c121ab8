# One page: how much waits, how fast it goes, what it costs, what went wrong.

locals {
  log_metric = "logging_googleapis_com:user_${replace(var.name, "-", "_")}"
  # A query of a metric of several resources must name one with `=`. Whatever any function logs may come from a pool, too.
  pulls        = contains(var.pulled, "track")
  anywhere     = local.pulls ? ["cloud_run_revision", "cloud_run_worker_pool"] : ["cloud_run_revision"]
  of_track_log = "monitored_resource=\"${local.pulls ? "cloud_run_worker_pool" : "cloud_run_revision"}\",function=\"track\""
  of_track     = local.pulls ? "monitored_resource=\"cloud_run_worker_pool\",worker_pool_name=\"${var.name}-track\"" : "monitored_resource=\"cloud_run_revision\",service_name=\"${var.name}-track\""
  counted = { for metric in keys(local.counters) :
    metric => join(" or ", [for resource in local.anywhere : "increase(${local.log_metric}_${metric}{monitored_resource=\"${resource}\"}[%s])"])
  }

  charts = concat([
    { title = "Requests by state, an hour", unit = "1", lines = {
      "done"     = "sum(${replace(local.counted["requests_done"], "%s", "1h")})"
      "failed"   = "sum(${replace(local.counted["requests_failed"], "%s", "1h")})"
      "still"    = "sum(${replace(local.counted["requests_still"], "%s", "1h")})"
      "uploaded" = "sum(increase(pubsub_googleapis_com:topic_message_sizes_count{monitored_resource=\"pubsub_topic\",topic_id=\"${var.name}-uploads\"}[1h]))"
    } },
    { title = "Segments waiting", unit = "1", lines = {
      "by subscription" = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${join("|", values(var.subscriptions))}\"})"
    } },
    { title = "Oldest delivery that waits", unit = "s", lines = {
      "by subscription" = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${join("|", values(var.subscriptions))}\"})"
    } },
    { title = "Stage latency, 95th percentile", unit = "ms", lines = merge(
      { "by service" = "histogram_quantile(0.95, sum by (service_name, le) (rate(run_googleapis_com:request_latencies_bucket{monitored_resource=\"cloud_run_revision\",service_name=~\"${var.name}-.*\"}[5m])))" },
      local.pulls ? { "track, pulling" = "1000 * histogram_quantile(0.95, sum by (le) (rate(${local.log_metric}_segment_seconds_bucket{${local.of_track_log}}[5m])))" } : {},
    ) },
    { title = "Seconds a segment", unit = "s", lines = {
      "median of track" = "histogram_quantile(0.5, sum by (le) (rate(${local.log_metric}_segment_seconds_bucket{${local.of_track_log}}[15m])))"
    } },
    { title = "Frames a second a GPU", unit = "1", lines = {
      "track" = "sum(rate(${local.log_metric}_frames_sum{${local.of_track_log}}[5m])) / sum(run_googleapis_com:container_instance_count{${local.of_track}${local.pulls ? "" : ",state=\"active\""}})"
    } },
    { title = "Redeliveries, an hour", unit = "1", lines = {
      "after a transient failure" = "sum(${replace(local.counted["deliveries_failed"], "%s", "1h")})"
    } },
    { title = "Dead letters", unit = "1", lines = {
      "by subscription" = "sum by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${join("|", values(var.dead_letter_subscriptions))}\"})"
    } },
    { title = "Cost of the GPUs a video-hour", unit = "1", lines = {
      "in ${var.currency}" = "(sum(rate(run_googleapis_com:container_billable_instance_time{${local.of_track}}[1h])) * ${var.gpu_hour_price}) / sum(rate(${local.log_metric}_video_seconds_sum{${local.of_track_log}}[1h]))"
    } },
    { title = "Instances", unit = "1", lines = merge(
      { "by service" = "sum by (service_name) (run_googleapis_com:container_instance_count{monitored_resource=\"cloud_run_revision\",service_name=~\"${var.name}-.*\"})" },
      local.pulls ? { "workers" = "sum by (location) (run_googleapis_com:container_instance_count{${local.of_track}})" } : {},
    ) },
    ], length(var.workers_wanted) == 0 ? [] : [
    { title = "Workers wanted", unit = "1", lines = var.workers_wanted },
  ])
}

resource "google_monitoring_dashboard" "this" {
  project = var.project
  dashboard_json = jsonencode({
    displayName = "Trackdrop"
    mosaicLayout = {
      columns = 48
      tiles = [for index, chart in local.charts : {
        xPos   = index % 3 * 16
        yPos   = floor(index / 3) * 16
        width  = 16
        height = 16
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [for name, query in chart.lines : {
              plotType           = "LINE"
              legendTemplate     = length(chart.lines) > 1 ? name : ""
              timeSeriesQuery    = { prometheusQuery = query, unitOverride = chart.unit }
              targetAxis         = "Y1"
              minAlignmentPeriod = "60s"
            }]
          }
        }
      }]
    }
  })

  lifecycle {
    # The server fills in defaults and would be seen as a change for ever.
    ignore_changes = [dashboard_json]
    replace_triggered_by = [
      terraform_data.dashboard,
    ]
  }
}

# A changed definition replaces the dashboard, though what the server adds to it is ignored.
resource "terraform_data" "dashboard" {
  input = sha256(jsonencode(local.charts))
}
