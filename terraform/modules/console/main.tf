# The console: one Cloud Run service behind Identity-Aware Proxy, for named members. It reads, and opens uploads.

locals {
  service  = "${var.name}-console"
  audience = "/projects/${var.project_number}/locations/${var.region}/services/${local.service}"
  # The name under which Cloud Run always answers; the other one is not known before the service is.
  host = "${local.service}-${var.project_number}.${var.region}.run.app"
  # Identity-Aware Proxy calls the service as this agent.
  proxy = "service-${var.project_number}@gcp-sa-iap.iam.gserviceaccount.com"

  offered_models = join(",", concat([for name, place in var.models : "${name}=${place}"], var.model_folders))
  environment = { for name, value in {
    GOOGLE_CLOUD_PROJECT       = var.project
    TRACKDROP_BUCKET_UPLOADS   = var.buckets["uploads"]
    TRACKDROP_BUCKET_WORK      = var.buckets["work"]
    TRACKDROP_BUCKET_RESULTS   = var.buckets["results"]
    TRACKDROP_TOPIC_REQUESTS   = "projects/${var.project}/topics/${var.name}-requests"
    TRACKDROP_DATASET          = "${var.project}.${var.dataset}"
    TRACKDROP_DATASET_LOCATION = var.region
    TRACKDROP_LIMITS           = var.limits
    TRACKDROP_MODELS           = local.offered_models == "" ? null : local.offered_models
    TRACKDROP_IAP_AUDIENCE     = local.audience
    TRACKDROP_CONSOLE_MEMBERS  = join(",", var.members)
    TRACKDROP_CONSOLE_HOSTS    = join(",", concat([local.host], var.hosts))
    # What a statement may be billed for, and the price by which it is told.
    TRACKDROP_CONSOLE_MAX_BYTES_BILLED = tostring(var.max_bytes_billed)
    TRACKDROP_CONSOLE_USD_PER_TIB      = tostring(var.usd_per_tib)
  } : name => value if value != null }
}

resource "google_service_account" "this" {
  project      = var.project
  account_id   = local.service
  display_name = "Trackdrop: console"
  description  = "Runs the console: reads the buckets and the tables, and opens uploads."
}

resource "google_cloud_run_v2_service" "this" {
  project              = var.project
  location             = var.region
  name                 = local.service
  description          = "Trackdrop: console"
  labels               = var.labels
  deletion_protection  = var.deletion_protection
  invoker_iam_disabled = false
  # Whoever comes, comes through the proxy.
  iap_enabled = true
  ingress     = "INGRESS_TRAFFIC_ALL"

  scaling {
    max_instance_count = var.max_instances
  }

  dynamic "binary_authorization" {
    for_each = var.binary_authorization ? [true] : []
    content {
      use_default = true
    }
  }

  template {
    service_account                  = google_service_account.this.email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = 80
    # An instance keeps the files that a page works on.
    session_affinity = true
    # The page's stream of progress stays open; it is opened again by itself.
    timeout        = "3600s"
    encryption_key = var.kms_key

    scaling {
      max_instance_count = var.max_instances
    }

    dynamic "vpc_access" {
      for_each = var.vpc == null ? [] : [var.vpc]
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

      ports {
        container_port = 8080
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        limits            = { cpu = "2", memory = "4Gi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      volume_mounts {
        name       = "scratch"
        mount_path = "/tmp"
      }

      startup_probe {
        period_seconds    = 1
        failure_threshold = 30
        timeout_seconds   = 1
        http_get {
          path = "/healthz"
        }
      }

      liveness_probe {
        period_seconds    = 30
        failure_threshold = 3
        timeout_seconds   = 5
        http_get {
          path = "/healthz"
        }
      }
    }

    # Copies of the Parquet files and chunks that are looked at: memory, as all that an instance writes.
    volumes {
      name = "scratch"
      empty_dir {
        medium     = "MEMORY"
        size_limit = "2Gi"
      }
    }
  }

  lifecycle {
    # What continuous delivery owns.
    ignore_changes = [
      template[0].containers[0].image,
      template[0].annotations,
      template[0].labels,
      traffic,
      annotations,
      client,
      client_version,
    ]
  }
}

# --- Who may come -----------------------------------------------------------------------------------------------------

resource "google_cloud_run_v2_service_iam_member" "proxy" {
  project  = var.project
  location = google_cloud_run_v2_service.this.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${local.proxy}"
}

resource "google_iap_web_cloud_run_service_iam_member" "member" {
  for_each = toset(var.members)

  project                = var.project
  location               = google_cloud_run_v2_service.this.location
  cloud_run_service_name = google_cloud_run_v2_service.this.name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.key
}

# --- What it may do ---------------------------------------------------------------------------------------------------

resource "google_storage_bucket_iam_member" "reads" {
  for_each = var.buckets

  bucket = each.value
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.this.email}"
}

# It opens the sessions by which pages upload. Without the right to delete, none can replace a video.
resource "google_storage_bucket_iam_member" "opens_uploads" {
  bucket = var.buckets["uploads"]
  role   = "roles/storage.objectCreator"
  member = "serviceAccount:${google_service_account.this.email}"
}

resource "google_bigquery_dataset_iam_member" "reads" {
  project    = var.project
  dataset_id = var.dataset
  role       = "roles/bigquery.dataViewer"
  member     = "serviceAccount:${google_service_account.this.email}"
}

resource "google_project_iam_member" "asks" {
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = "serviceAccount:${google_service_account.this.email}"
}
