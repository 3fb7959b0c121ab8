# One Cloud Run service a function. Terraform owns the shape of a service, continuous delivery its image and its traffic.

locals {
  # What each function needs. `scratch_gib` is memory too: it is where a service may write.
  shapes = {
    split    = { cpu = "2", memory = "4Gi", scratch_gib = 2, max = 20, always_on = false, gpu = false }
    track    = { cpu = var.gpu_cpu, memory = var.gpu_memory, scratch_gib = 2, max = var.gpu_max_instances, always_on = true, gpu = true }
    merge    = { cpu = "2", memory = "8Gi", scratch_gib = 6, max = 10, always_on = false, gpu = false }
    load     = { cpu = "1", memory = "512Mi", scratch_gib = 0, max = 4, always_on = false, gpu = false }
    annotate = { cpu = "4", memory = "6Gi", scratch_gib = 1, max = var.annotate_max_instances, always_on = false, gpu = false }
    join     = { cpu = "4", memory = "16Gi", scratch_gib = 12, max = 10, always_on = false, gpu = false }
    fail     = { cpu = "1", memory = "512Mi", scratch_gib = 0, max = 4, always_on = false, gpu = false }
  }
  # A function whose workers pull has no service.
  services = { for function, shape in local.shapes : function => shape if !contains(var.pulled, function) }
  triggers = { for trigger in var.triggers : trigger.function => trigger }

  # An audience of our own: the service's URL is not known before the service is, and it changes with the region.
  audiences = { for function in keys(local.shapes) : function => "https://${var.name}-${function}" }

  reads_videos = ["split", "track", "annotate"]

  # The environment that every service and worker reads.
  offered_models = join(",", concat([for name, place in var.models : "${name}=${place}"], var.model_folders))
  ignored        = length(local.triggers["split"].on.ignore) == 0 ? "none" : join(",", local.triggers["split"].on.ignore)

  environment = { for function in keys(local.shapes) : function => { for name, value in {
    GOOGLE_CLOUD_PROJECT     = var.project
    TRACKDROP_BUCKET_UPLOADS = var.buckets["uploads"]
    TRACKDROP_BUCKET_WORK    = var.buckets["work"]
    TRACKDROP_BUCKET_RESULTS = var.buckets["results"]
    TRACKDROP_TOPIC_REQUESTS = "projects/${var.project}/topics/${var.name}-requests"
    TRACKDROP_DATASET        = "${var.project}.${var.dataset}"
    # So no function has to read it from BigQuery, and none needs the right to.
    TRACKDROP_DATASET_LOCATION     = var.region
    TRACKDROP_PUSH_AUDIENCE        = local.audiences[function]
    TRACKDROP_PUSH_SERVICE_ACCOUNT = google_service_account.invoker.email
    TRACKDROP_CONCURRENCY          = tostring(local.triggers[function].concurrency)
    # Pub/Sub sends a message again when the ack deadline is over: the service must have stopped before.
    TRACKDROP_DEADLINE_S = tostring(local.triggers[function].deadline_s - var.answer_margin_s)
    TRACKDROP_MODEL      = function == "track" ? var.model : null
    # What else uploads may ask for, which split refuses at once and track opens. Nothing else is looked for.
    TRACKDROP_MODELS = contains(["split", "track"], function) && local.offered_models != "" ? local.offered_models : null
    # Ignored patterns of names: one list for the filter, for split, and for the sweeper, which expects no request for them.
    TRACKDROP_IGNORE = contains(["split", "fail"], function) ? local.ignored : null
    # Unless it is auto the GPU or an error: an instance that detects on its processor in silence would be paid for as a GPU.
    TRACKDROP_DEVICE = function == "track" ? var.device : null
    # Null for the service's own choice: 16.
    TRACKDROP_BATCH  = function == "track" && var.batch != null ? tostring(var.batch) : null
    TRACKDROP_LIMITS = contains(local.reads_videos, function) ? var.limits : null
    # Null for the service's own choice: the processor.
    TRACKDROP_VIDEO_ENGINE = function == "track" ? var.video_engine : null
    # Half of what an instance may write, for each delivery: a container without an index is read from there the second time.
    TRACKDROP_SPOOL_BYTES = function == "split" ? tostring(floor(
      local.shapes[function].scratch_gib * pow(1024, 3) / 2 / local.triggers[function].concurrency
    )) : null
    # Rows wait for the scheduler in place of being loaded request by request: those of merged requests, and those of ended ones, which any function ends.
    TRACKDROP_LOAD_WINDOW = var.load_window ? "1" : null
    # The sweeper publishes events again on the topics to which Cloud Storage published them first.
    TRACKDROP_TOPIC_UPLOADS     = function == "fail" && var.sweep != null ? "projects/${var.project}/topics/${var.name}-uploads" : null
    TRACKDROP_TOPIC_WORK        = function == "fail" && var.sweep != null ? "projects/${var.project}/topics/${var.name}-work" : null
    TRACKDROP_STALLED_S         = function == "fail" && var.sweep != null ? tostring(var.sweep.stalled_s) : null
    TRACKDROP_GIVE_UP_S         = function == "fail" && var.sweep != null ? tostring(var.sweep.give_up_s) : null
    OTEL_EXPORTER_OTLP_ENDPOINT = var.otlp_endpoint
    # As the function's own account (google_project_iam_member.telemetry).
    TRACKDROP_TELEMETRY_ENDPOINT = var.otlp_endpoint == null ? "https://telemetry.googleapis.com" : null
  } : name => value if value != null } }
}

resource "google_cloud_run_v2_service" "this" {
  for_each = local.services

  project              = var.project
  location             = var.region
  name                 = "${var.name}-${each.key}"
  description          = "Trackdrop: ${each.key}"
  labels               = var.labels
  deletion_protection  = var.deletion_protection
  invoker_iam_disabled = false
  custom_audiences     = [local.audiences[each.key]]
  # Pub/Sub and Cloud Scheduler of the same project count as internal; nobody else has to call a function.
  ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY"

  # For all revisions together: during a canary two of them share the GPU quota.
  scaling {
    max_instance_count = each.value.max
  }

  dynamic "binary_authorization" {
    for_each = var.binary_authorization ? [true] : []
    content {
      use_default = true
    }
  }

  template {
    service_account                  = google_service_account.function[each.key].email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = local.triggers[each.key].concurrency
    # As long as Pub/Sub waits; the service itself stops earlier (TRACKDROP_DEADLINE_S).
    timeout                       = "${local.triggers[each.key].deadline_s}s"
    encryption_key                = var.kms_key
    gpu_zonal_redundancy_disabled = each.value.gpu ? true : null

    # A revision's own maximum counts against the GPU quota as well, even when the revision is retired.
    scaling {
      max_instance_count = each.value.max
      # The GPU service scales with the deliveries in work only: its processor says nothing about the GPU.
      concurrency_utilization = each.value.gpu ? var.gpu_concurrency_utilization : null
      cpu_utilization         = each.value.gpu ? 0 : null
    }

    dynamic "node_selector" {
      for_each = each.value.gpu ? [var.gpu_type] : []
      content {
        accelerator = node_selector.value
      }
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
        for_each = local.environment[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        limits = merge(
          { cpu = each.value.cpu, memory = each.value.memory },
          each.value.gpu ? { "nvidia.com/gpu" = "1" } : {},
        )
        # Billed per delivery where deliveries are rare; a GPU is billed for as long as its instance lives.
        cpu_idle          = !each.value.always_on
        startup_cpu_boost = !each.value.gpu
      }

      dynamic "volume_mounts" {
        for_each = each.value.scratch_gib > 0 ? [1] : []
        content {
          name       = "scratch"
          mount_path = "/tmp"
        }
      }

      # A GPU instance loads a model of hundreds of megabytes before it answers.
      startup_probe {
        period_seconds    = each.value.gpu ? 5 : 1
        failure_threshold = each.value.gpu ? 48 : 30
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

      readiness_probe {
        period_seconds    = 10
        failure_threshold = 3
        timeout_seconds   = 5
        http_get {
          path = "/readyz"
        }
      }
    }

    dynamic "volumes" {
      for_each = each.value.scratch_gib > 0 ? [each.value.scratch_gib] : []
      content {
        name = "scratch"
        empty_dir {
          medium     = "MEMORY"
          size_limit = "${volumes.value}Gi"
        }
      }
    }
  }

  lifecycle {
    # What continuous delivery owns: the image, the traffic, and the marks that gcloud and Cloud Deploy leave. Not the revision's name:
    # a change of the shape under a name that exists would be refused.
    ignore_changes = [
      template[0].containers[0].image,
      template[0].annotations,
      template[0].labels,
      traffic,
      annotations,
      client,
      client_version,
    ]
    precondition {
      condition     = contains(keys(local.triggers), each.key)
      error_message = "triggers/${each.key}.yaml is missing: nothing would start the function."
    }
    precondition {
      condition     = each.value.gpu ? tonumber(each.value.cpu) >= 4 && tonumber(trimsuffix(each.value.memory, "Gi")) >= 16 : true
      error_message = "A GPU instance needs at least 4 CPUs and 16Gi of memory; it has ${each.value.cpu} and ${each.value.memory}."
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoked" {
  for_each = google_cloud_run_v2_service.this

  project  = var.project
  location = each.value.location
  name     = each.value.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${google_service_account.invoker.email}"
}
