# Workers that pull, for more GPUs than push can keep evenly busy, in as many regions as have some. They share one
# subscription: a free worker takes the next chunk, wherever it is. The autoscaler (Google's Cloud Run External Metrics
# Autoscaling) sets the number of instances of each pool from one metric: how many workers what waits is worth.

locals {
  workers      = contains(var.pulled, "track") ? var.workers : {}
  most_workers = sum(concat([0], [for pool in local.workers : pool.max]))
  subscription = "${var.name}-track"

  # The metric, in PromQL: segments that wait, seconds a segment as the workers' own logs measure them (the setting, until one
  # is logged), and the age of the oldest one, at which all workers run.
  of_subscription   = "monitored_resource=\"pubsub_subscription\",subscription_id=\"${local.subscription}\""
  segment_seconds   = "logging_googleapis_com:user_${replace(var.name, "-", "_")}_segment_seconds_bucket{monitored_resource=\"cloud_run_worker_pool\",function=\"track\"}"
  measured_seconds  = "histogram_quantile(0.5, sum by (le) (rate(${local.segment_seconds}[30m])))"
  seconds_a_segment = "((${local.measured_seconds} > 0) or vector(${var.seconds_per_segment}))"
  workers_wanted = {
    backlog = "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.of_subscription}}) * ${local.seconds_a_segment} / ${var.drain_target_s * local.triggers["track"].concurrency}"
    age     = "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.of_subscription}}) / ${var.drain_target_s} * ${local.most_workers}"
  }
}

resource "google_cloud_run_v2_worker_pool" "track" {
  for_each = local.workers

  project             = var.project
  location            = each.key
  name                = "${var.name}-track"
  description         = "Trackdrop: track, pulling"
  labels              = var.labels
  deletion_protection = var.deletion_protection

  scaling {
    manual_instance_count = each.value.min
  }

  template {
    service_account = google_service_account.function["track"].email
    # A key encrypts in its own region only.
    encryption_key                = each.key == var.region ? var.kms_key : null
    gpu_zonal_redundancy_disabled = true

    node_selector {
      accelerator = var.gpu_type
    }

    dynamic "vpc_access" {
      # A subnetwork belongs to one region; in the others the workers reach Google's APIs directly.
      for_each = var.vpc != null && each.key == var.region ? [var.vpc] : []
      content {
        egress = "ALL_TRAFFIC"
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
        }
      }
    }

    containers {
      name  = "function"
      image = var.image
      args  = ["--pull"]

      dynamic "env" {
        for_each = merge(local.environment["track"], {
          TRACKDROP_SUBSCRIPTION = "projects/${var.project}/subscriptions/${local.subscription}"
        })
        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        limits = { cpu = var.gpu_cpu, memory = var.gpu_memory, "nvidia.com/gpu" = "1" }
      }

      startup_probe {
        period_seconds    = 5
        failure_threshold = 48
        timeout_seconds   = 1
        http_get {
          path = "/healthz"
          port = 8080
        }
      }

      liveness_probe {
        period_seconds    = 30
        failure_threshold = 3
        timeout_seconds   = 5
        http_get {
          path = "/healthz"
          port = 8080
        }
      }
    }
  }

  lifecycle {
    # The image is continuous delivery's, the number of instances the autoscaler's.
    ignore_changes = [
      template[0].containers[0].image,
      template[0].annotations,
      template[0].labels,
      scaling[0].manual_instance_count,
      instance_splits,
      annotations,
      client,
      client_version,
    ]
  }
}

# --- The autoscaler ---------------------------------------------------------------------------------------------------

resource "google_service_account" "autoscaler" {
  count = length(local.workers) > 0 ? 1 : 0

  project      = var.project
  account_id   = "${var.name}-autoscaler"
  display_name = "Trackdrop: autoscaler"
  description  = "Sets the number of workers from the backlog."
}

resource "google_parameter_manager_parameter" "autoscaler" {
  count = length(local.workers) > 0 ? 1 : 0

  project      = var.project
  parameter_id = "${var.name}-autoscaler"
  format       = "YAML"
  labels       = var.labels
}

locals {
  autoscaler_config = yamlencode({
    apiVersion = "crema/v1"
    kind       = "CremaConfig"
    spec = {
      pollingInterval        = 30
      triggerAuthentications = [{ metadata = { name = "own-account" }, spec = { podIdentity = { provider = "gcp" } } }]
      scaledObjects = [for region, pool in local.workers : { spec = {
        scaleTargetRef  = { name = "projects/${var.project}/locations/${region}/workerpools/${var.name}-track" }
        minReplicaCount = pool.min
        maxReplicaCount = pool.max
        # Each pool is its share of the workers that are wanted; the trigger that wants most wins.
        triggers = [for by, query in local.workers_wanted : {
          type = "prometheus"
          name = by
          metadata = {
            serverAddress = "https://monitoring.googleapis.com/v1/projects/${var.project}/location/global/prometheus"
            query         = "${query} * ${pool.max} / ${local.most_workers}"
            threshold     = "1"
          }
          authenticationRef = { name = "own-account" }
        }]
        advanced = { horizontalPodAutoscalerConfig = { behavior = {
          # A GPU instance takes most of a minute to start: grow at once, shrink slowly.
          scaleUp   = { stabilizationWindowSeconds = 0, policies = [{ type = "Percent", value = 100, periodSeconds = 60 }, { type = "Pods", value = 10, periodSeconds = 60 }] }
          scaleDown = { stabilizationWindowSeconds = 300, policies = [{ type = "Percent", value = 50, periodSeconds = 60 }] }
        } } }
      } }]
    }
  })
}

resource "google_parameter_manager_parameter_version" "autoscaler" {
  count = length(local.workers) > 0 ? 1 : 0

  parameter = google_parameter_manager_parameter.autoscaler[0].id
  # A version can't be changed: another configuration is another version.
  parameter_version_id = "v-${substr(sha256(local.autoscaler_config), 0, 12)}"
  parameter_data       = local.autoscaler_config

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_cloud_run_v2_service" "autoscaler" {
  count = length(local.workers) > 0 ? 1 : 0

  project              = var.project
  location             = var.region
  name                 = "${var.name}-autoscaler"
  description          = "Trackdrop: sets the number of workers from the backlog"
  labels               = var.labels
  deletion_protection  = false
  invoker_iam_disabled = false
  ingress              = "INGRESS_TRAFFIC_INTERNAL_ONLY"

  # Exactly one: two would fight over the same pools.
  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = 1
  }

  template {
    service_account = google_service_account.autoscaler[0].email
    encryption_key  = var.kms_key

    containers {
      name           = "autoscaler"
      image          = var.autoscaler_image
      base_image_uri = "${var.region}-docker.pkg.dev/serverless-runtimes/google-24/runtimes/java25"

      env {
        name  = "CREMA_CONFIG"
        value = "projects/${var.project}/locations/global/parameters/${var.name}-autoscaler/versions/${google_parameter_manager_parameter_version.autoscaler[0].parameter_version_id}"
      }
      env {
        name  = "OUTPUT_SCALER_METRICS"
        value = "True"
      }

      resources {
        limits = { cpu = "1", memory = "1Gi" }
        # It works between requests.
        cpu_idle = false
      }
    }
  }

  lifecycle {
    ignore_changes = [client, client_version]
  }

  depends_on = [google_project_iam_member.autoscaler]
}

# It reads the metric (monitoring.viewer) and its configuration, and writes the numbers that it chose.
resource "google_project_iam_member" "autoscaler" {
  for_each = toset(length(local.workers) > 0 ? [
    "roles/monitoring.metricWriter", "roles/monitoring.viewer", "roles/parametermanager.parameterViewer",
  ] : [])

  project = var.project
  role    = each.key
  member  = "serviceAccount:${google_service_account.autoscaler[0].email}"
}

resource "google_cloud_run_v2_worker_pool_iam_member" "autoscaler" {
  for_each = google_cloud_run_v2_worker_pool.track

  project  = var.project
  location = each.value.location
  name     = each.value.name
  role     = "roles/run.developer"
  member   = "serviceAccount:${google_service_account.autoscaler[0].email}"
}

# Changing a pool means acting as the account that it runs as.
resource "google_service_account_iam_member" "autoscaler" {
  count = length(local.workers) > 0 ? 1 : 0

  service_account_id = google_service_account.function["track"].name
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${google_service_account.autoscaler[0].email}"
}
