# The services: their settings, what they may do, who may call them, and that their shapes are legal.

mock_provider "google" {}

variables {
  project = "a-project-id-of-thirty-letters"
  region  = "europe-west4"
  name    = "trackdrop"
  buckets = {
    uploads = "a-project-id-of-thirty-letters-trackdrop-uploads"
    work    = "a-project-id-of-thirty-letters-trackdrop-work"
    results = "a-project-id-of-thirty-letters-trackdrop-results"
  }
  dataset                     = "tracks_of_videos"
  image                       = "registry.example/image"
  model                       = "/models/other.onnx"
  models                      = { big = "gs://acme-models/big.onnx", fast = "/models/fast.onnx" }
  model_folders               = ["gs://acme-free/a/"]
  device                      = "tensorrt"
  batch                       = 8
  video_engine                = "nvidia"
  limits                      = "max_frames=5"
  load_window                 = true
  sweep                       = { stalled_s = 7200, give_up_s = 86400 }
  otlp_endpoint               = "http://collector:4318"
  pulled                      = []
  workers                     = {}
  gpu_type                    = "nvidia-l4"
  gpu_cpu                     = "4"
  gpu_memory                  = "16Gi"
  gpu_max_instances           = 3
  gpu_concurrency_utilization = 0.95
  annotate_max_instances      = 20
  seconds_per_segment         = 3
  drain_target_s              = 600
  autoscaler_image            = "registry.example/autoscaler:1.0"
  vpc                         = null
  binary_authorization        = false
  kms_key                     = null
  deletion_protection         = true
  labels                      = {}
  # The settings that every service gets.
  contract = [
    "GOOGLE_CLOUD_PROJECT", "OTEL_EXPORTER_OTLP_ENDPOINT", "TRACKDROP_BUCKET_RESULTS", "TRACKDROP_BUCKET_UPLOADS",
    "TRACKDROP_BUCKET_WORK", "TRACKDROP_CONCURRENCY", "TRACKDROP_DATASET", "TRACKDROP_DATASET_LOCATION", "TRACKDROP_DEADLINE_S",
    "TRACKDROP_PUSH_AUDIENCE", "TRACKDROP_PUSH_SERVICE_ACCOUNT",
    "TRACKDROP_TOPIC_REQUESTS",
  ]
  functions = ["annotate", "fail", "join", "load", "merge", "split", "track"]
}

run "files" {
  module {
    source = "./modules/triggers"
  }

  variables {
    dir = "../triggers"
  }
}

run "services" {
  module {
    source = "./modules/functions"
  }

  variables {
    triggers = run.files.triggers
  }

  assert {
    condition     = keys(google_cloud_run_v2_service.this) == var.functions
    error_message = "Not the seven functions."
  }

  assert {
    condition = alltrue([for function, service in google_cloud_run_v2_service.this :
      toset([for env in service.template[0].containers[0].env : env.name]) == toset(concat(
        var.contract,
        function == "track" ? ["TRACKDROP_BATCH", "TRACKDROP_DEVICE", "TRACKDROP_MODEL", "TRACKDROP_MODELS", "TRACKDROP_VIDEO_ENGINE"] : [],
        function == "split" ? ["TRACKDROP_IGNORE", "TRACKDROP_MODELS", "TRACKDROP_SPOOL_BYTES"] : [],
        contains(["split", "track", "annotate"], function) ? ["TRACKDROP_LIMITS"] : [],
        ["TRACKDROP_LOAD_WINDOW"],
        function == "fail" ? ["TRACKDROP_GIVE_UP_S", "TRACKDROP_IGNORE", "TRACKDROP_STALLED_S", "TRACKDROP_TOPIC_UPLOADS", "TRACKDROP_TOPIC_WORK"] : [],
      ))
    ])
    error_message = "A service does not get the settings of the contract."
  }

  assert {
    condition = alltrue([for function, service in google_cloud_run_v2_service.this : alltrue([
      for name, value in {
        GOOGLE_CLOUD_PROJECT           = var.project
        OTEL_EXPORTER_OTLP_ENDPOINT    = "http://collector:4318"
        TRACKDROP_BUCKET_RESULTS       = var.buckets.results
        TRACKDROP_BUCKET_UPLOADS       = var.buckets.uploads
        TRACKDROP_BUCKET_WORK          = var.buckets.work
        TRACKDROP_DATASET              = "a-project-id-of-thirty-letters.tracks_of_videos"
        TRACKDROP_PUSH_AUDIENCE        = "https://trackdrop-${function}"
        TRACKDROP_PUSH_SERVICE_ACCOUNT = google_service_account.invoker.email
        TRACKDROP_TOPIC_REQUESTS       = "projects/a-project-id-of-thirty-letters/topics/trackdrop-requests"
      } : one([for env in service.template[0].containers[0].env : env.value if env.name == name]) == value
    ])])
    error_message = "A service gets a wrong value."
  }

  assert {
    condition = jsonencode({ for function, service in google_cloud_run_v2_service.this : function => {
      for env in service.template[0].containers[0].env : env.name => env.value
      if !contains(var.contract, env.name)
      } if contains(["fail", "load", "merge", "split", "track"], function) }) == jsonencode({
      fail = {
        TRACKDROP_GIVE_UP_S     = "86400"
        TRACKDROP_IGNORE        = join(",", run.files.triggers["split"].on.ignore)
        TRACKDROP_LOAD_WINDOW   = "1"
        TRACKDROP_STALLED_S     = "7200"
        TRACKDROP_TOPIC_UPLOADS = "projects/a-project-id-of-thirty-letters/topics/trackdrop-uploads"
        TRACKDROP_TOPIC_WORK    = "projects/a-project-id-of-thirty-letters/topics/trackdrop-work"
      }
      load  = { TRACKDROP_LOAD_WINDOW = "1" }
      merge = { TRACKDROP_LOAD_WINDOW = "1" }
      split = {
        TRACKDROP_IGNORE      = join(",", run.files.triggers["split"].on.ignore)
        TRACKDROP_LIMITS      = "max_frames=5"
        TRACKDROP_LOAD_WINDOW = "1"
        TRACKDROP_MODELS      = "big=gs://acme-models/big.onnx,fast=/models/fast.onnx,gs://acme-free/a/"
        TRACKDROP_SPOOL_BYTES = "1073741824"
      }
      track = {
        TRACKDROP_BATCH        = "8"
        TRACKDROP_DEVICE       = "tensorrt"
        TRACKDROP_LIMITS       = "max_frames=5"
        TRACKDROP_LOAD_WINDOW  = "1"
        TRACKDROP_MODEL        = "/models/other.onnx"
        TRACKDROP_MODELS       = "big=gs://acme-models/big.onnx,fast=/models/fast.onnx,gs://acme-free/a/"
        TRACKDROP_VIDEO_ENGINE = "nvidia"
      }
    })
    error_message = "A service gets another device, batch, model, video engine, bound, spool, window or patience than was set."
  }

  assert {
    condition = (
      toset(keys(google_storage_bucket_iam_member.reads_models)) == toset(["acme-free", "acme-models"]) &&
      alltrue([for member in google_storage_bucket_iam_member.reads_models : member.role == "roles/storage.objectViewer" && member.member == "serviceAccount:${google_service_account.function["track"].email}"]) &&
      toset(keys(google_storage_bucket_iam_member.split_reads_models)) == toset(["acme-free", "acme-models"]) &&
      alltrue([for member in google_storage_bucket_iam_member.split_reads_models : member.role == "roles/storage.objectViewer" && member.member == "serviceAccount:${google_service_account.function["split"].email}"])
    )
    error_message = "The models that uploads may ask for can't be read, or by others too."
  }

  assert {
    condition = alltrue([for function, service in google_cloud_run_v2_service.this :
      service.template[0].max_instance_request_concurrency == run.files.triggers[function].concurrency &&
      one([for env in service.template[0].containers[0].env : env.value if env.name == "TRACKDROP_CONCURRENCY"]) == tostring(run.files.triggers[function].concurrency)
    ])
    error_message = "`concurrency` of a trigger is not the concurrency of its service."
  }

  # The ack deadline is deadline_s (triggers.tftest.hcl): the service stops before it, and Cloud Run not before that.
  assert {
    condition = alltrue([for function, service in google_cloud_run_v2_service.this :
      tonumber(one([for env in service.template[0].containers[0].env : env.value if env.name == "TRACKDROP_DEADLINE_S"])) <= run.files.triggers[function].deadline_s - 10 &&
      tonumber(one([for env in service.template[0].containers[0].env : env.value if env.name == "TRACKDROP_DEADLINE_S"])) >= 30 &&
      service.template[0].timeout == "${run.files.triggers[function].deadline_s}s"
    ])
    error_message = "The ack deadline is not above the stage's deadline."
  }

  assert {
    condition     = alltrue([for service in google_cloud_run_v2_service.this : service.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && service.invoker_iam_disabled == false])
    error_message = "A service can be reached from outside, or called without a token."
  }

  assert {
    condition = (
      keys(google_cloud_run_v2_service_iam_member.invoked) == var.functions &&
      alltrue([for member in google_cloud_run_v2_service_iam_member.invoked :
      member.role == "roles/run.invoker" && member.member == "serviceAccount:${google_service_account.invoker.email}"])
    )
    error_message = "Somebody else than the invoker may call a service, or the invoker may not."
  }

  assert {
    condition     = alltrue([for function, service in google_cloud_run_v2_service.this : service.custom_audiences == tolist(["https://trackdrop-${function}"])])
    error_message = "A service does not accept the audience of its pushes."
  }

  assert {
    condition = alltrue([for function, service in google_cloud_run_v2_service.this :
      service.template[0].service_account == google_service_account.function[function].email
    ])
    error_message = "A service does not run as its own account."
  }

  assert {
    condition = alltrue([for service in google_cloud_run_v2_service.this :
      service.template[0].containers[0].startup_probe[0].http_get[0].path == "/healthz" &&
      service.template[0].containers[0].liveness_probe[0].http_get[0].path == "/healthz" &&
      service.template[0].containers[0].readiness_probe[0].http_get[0].path == "/readyz"
    ])
    error_message = "A service lacks a probe."
  }

  # Only track has a GPU; it is an L4 without zonal redundancy, with CPU and memory that Cloud Run accepts, billed by instance.
  assert {
    condition = alltrue([for function, service in google_cloud_run_v2_service.this : function == "track" ? (
      service.template[0].node_selector[0].accelerator == "nvidia-l4" &&
      service.template[0].gpu_zonal_redundancy_disabled == true &&
      service.template[0].containers[0].resources[0].limits["nvidia.com/gpu"] == "1" &&
      tonumber(service.template[0].containers[0].resources[0].limits["cpu"]) >= 4 &&
      tonumber(trimsuffix(service.template[0].containers[0].resources[0].limits["memory"], "Gi")) >= 16 &&
      service.template[0].containers[0].resources[0].cpu_idle == false
      ) : (
      length(service.template[0].node_selector) == 0 &&
      !contains(keys(service.template[0].containers[0].resources[0].limits), "nvidia.com/gpu") &&
      service.template[0].containers[0].resources[0].cpu_idle == true
    )])
    error_message = "The shape of a service is not legal, or not what it needs."
  }

  assert {
    condition = (
      google_cloud_run_v2_service.this["track"].scaling[0].max_instance_count == 3 &&
      google_cloud_run_v2_service.this["track"].template[0].scaling[0].max_instance_count == 3 &&
      google_cloud_run_v2_service.this["track"].template[0].scaling[0].concurrency_utilization == 0.95 &&
      google_cloud_run_v2_service.this["track"].template[0].scaling[0].cpu_utilization == 0 &&
      alltrue([for service in google_cloud_run_v2_service.this : service.scaling[0].max_instance_count > 0])
    )
    error_message = "A service has no service-level maximum, or the GPU service does not scale with what is in work."
  }

  # --- Names within limits, for a project id of 30 letters.

  assert {
    condition = alltrue(concat(
      [for account in google_service_account.function : length(account.account_id) >= 6 && length(account.account_id) <= 30],
      [for service in google_cloud_run_v2_service.this : length(service.name) <= 49],
    ))
    error_message = "A name is too long."
  }

  # --- Rights

  assert {
    condition = alltrue([for member in concat(
      values(google_storage_bucket_iam_member.reads), values(google_storage_bucket_iam_member.reads_uploads),
      values(google_storage_bucket_iam_member.writes_work), values(google_storage_bucket_iam_member.writes_results),
      values(google_storage_bucket_iam_member.loads_from),
    ) : startswith(member.member, "serviceAccount:")])
    error_message = "Something other than a service account has a right."
  }

  assert {
    condition = (
      toset(google_project_iam_custom_role.object_writer.permissions) == toset(["storage.objects.create", "storage.objects.delete"]) &&
      alltrue([for member in concat(values(google_storage_bucket_iam_member.writes_work), values(google_storage_bucket_iam_member.writes_results)) :
      member.role == google_project_iam_custom_role.object_writer.id && length(member.condition) == 1])
    )
    error_message = "A function may write more than its own names."
  }

  assert {
    condition = { for function, member in google_storage_bucket_iam_member.writes_work : function => member.condition[0].expression } == {
      for function, folders in {
        split    = ["ended/", "indexed/", "split_chunks/", "uploaded/", "waiting_ends/"]
        track    = ["counted/track/", "detections/", "ended/", "tracked/", "waiting_ends/"]
        merge    = ["ended/", "merged/", "tracks/", "waiting_ends/"]
        load     = ["ended/", "loaded/", "loads/", "waiting_ends/"]
        annotate = ["annotated/", "counted/annotate/", "crops/", "ended/", "processed_chunks/", "waiting_ends/"]
        join     = ["ended/", "waiting_ends/"]
        fail     = ["annotated/", "counted/annotate/", "counted/track/", "ended/", "loads/", "swept/", "tracked/", "waiting_ends/"]
        } : function => join(" || ", [
          for folder in folders : "resource.name.startsWith(\"projects/_/buckets/${var.buckets.work}/objects/${folder}\")"
      ])
      } && { for function, member in google_storage_bucket_iam_member.writes_results : function => member.condition[0].expression } == {
      for function, files in {
        split = ["manifest.json", "summary.json"]
        track = ["manifest.json", "summary.json"]
        merge = [
          "detections.parquet", "manifest.json", "summary.json", "tracks.parquet",
          "coco.json", "cvat.xml", "mot.txt", "rekognition-persons.ndjson", "tracks.csv", "tracks.ndjson",
          "video-intelligence-streaming.ndjson", "video-intelligence.json",
        ]
        load     = ["manifest.json", "summary.json"]
        annotate = ["manifest.json", "summary.json"]
        join     = ["annotated.mp4", "crops.parquet", "manifest.json", "summary.json"]
        fail     = ["manifest.json", "summary.json"]
      } : function => join(" || ", [for file in files : "resource.name.endsWith(\"/${file}\")"])
    }
    error_message = "A function's own folders or files are not what its code writes."
  }

  assert {
    condition = (
      alltrue([for member in concat(values(google_storage_bucket_iam_member.reads), values(google_storage_bucket_iam_member.reads_uploads)) : member.role == "roles/storage.objectViewer"]) &&
      keys(google_storage_bucket_iam_member.reads_uploads) == ["fail", "join", "split"] &&
      keys(google_storage_bucket_iam_member.loads_from) == ["load"] &&
      toset(google_project_iam_custom_role.bucket_looker.permissions) == toset(["storage.buckets.get"]) &&
      length(google_project_iam_member.telemetry) == 0
    )
    error_message = "A function may read, or write to the project, what it does not need."
  }
}

run "nothing_optional" {
  command = plan

  module {
    source = "./modules/functions"
  }

  variables {
    triggers      = run.files.triggers
    model         = null
    models        = {}
    model_folders = []
    limits        = null
    batch         = null
    video_engine  = null
    load_window   = false
    sweep         = null
    otlp_endpoint = null
  }

  # The values are known only after the accounts are made; the names are.
  assert {
    condition     = toset(flatten([for function in keys(output.environment_names) : output.environment_names[function]])) == toset(concat([for name in var.contract : name if !startswith(name, "OTEL")], ["TRACKDROP_DEVICE", "TRACKDROP_IGNORE", "TRACKDROP_SPOOL_BYTES", "TRACKDROP_TELEMETRY_ENDPOINT"]))
    error_message = "A service gets the setting of an option that is off, or no Google endpoint where no collector is named."
  }

  assert {
    condition = (
      length(google_project_iam_member.telemetry) == 7 &&
      toset([for member in google_project_iam_member.telemetry : member.role]) == toset(["roles/telemetry.tracesWriter"])
    )
    error_message = "Where no collector is named, a function may not write its traces, or may write more than those to the project."
  }
}

run "workers" {
  module {
    source = "./modules/functions"
  }

  variables {
    triggers = run.files.triggers
    pulled   = ["track"]
    workers  = { europe-west4 = { min = 1, max = 30 }, us-east4 = { min = 0, max = 10 } }
  }

  assert {
    condition     = !contains(keys(google_cloud_run_v2_service.this), "track") && length(google_cloud_run_v2_service.this) == 6
    error_message = "Pulled chunks have a service too."
  }

  assert {
    condition = alltrue([for region, pool in google_cloud_run_v2_worker_pool.track :
      pool.location == region &&
      pool.template[0].containers[0].args == tolist(["--pull"]) &&
      one([for env in pool.template[0].containers[0].env : env.value if env.name == "TRACKDROP_SUBSCRIPTION"]) == "projects/${var.project}/subscriptions/trackdrop-track" &&
      toset([for env in pool.template[0].containers[0].env : env.name]) == toset(concat(var.contract, ["TRACKDROP_BATCH", "TRACKDROP_DEVICE", "TRACKDROP_LIMITS", "TRACKDROP_LOAD_WINDOW", "TRACKDROP_MODEL", "TRACKDROP_MODELS", "TRACKDROP_SUBSCRIPTION", "TRACKDROP_VIDEO_ENGINE"])) &&
      pool.template[0].service_account == google_service_account.function["track"].email
    ]) && length(google_cloud_run_v2_worker_pool.track) == 2
    error_message = "A pool does not pull, or does not get the settings of the contract."
  }

  assert {
    condition = alltrue([for pool in google_cloud_run_v2_worker_pool.track :
      pool.template[0].node_selector[0].accelerator == "nvidia-l4" &&
      pool.template[0].gpu_zonal_redundancy_disabled == true &&
      pool.template[0].containers[0].resources[0].limits["nvidia.com/gpu"] == "1" &&
      tonumber(pool.template[0].containers[0].resources[0].limits["cpu"]) >= 4 &&
      tonumber(trimsuffix(pool.template[0].containers[0].resources[0].limits["memory"], "Gi")) >= 16
    ])
    error_message = "The shape of a worker is not legal."
  }

  assert {
    condition = [for object in yamldecode(google_parameter_manager_parameter_version.autoscaler[0].parameter_data).spec.scaledObjects : [
      object.spec.scaleTargetRef.name, object.spec.minReplicaCount, object.spec.maxReplicaCount,
      ]] == [
      ["projects/${var.project}/locations/europe-west4/workerpools/trackdrop-track", 1, 30],
      ["projects/${var.project}/locations/us-east4/workerpools/trackdrop-track", 0, 10],
    ]
    error_message = "The autoscaler does not scale every pool between its bounds."
  }

  # Segments that wait x seconds a segment / (seconds to clear them in x deliveries at a time), and all 40 at the age of 600 s.
  assert {
    condition = (
      startswith(output.workers_wanted.backlog, "sum(pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=\"trackdrop-track\"}) * ((histogram_quantile(0.5, ") &&
      strcontains(output.workers_wanted.backlog, "user_trackdrop_segment_seconds_bucket{monitored_resource=\"cloud_run_worker_pool\",function=\"track\"}") &&
      endswith(output.workers_wanted.backlog, " > 0) or vector(3)) / ${600 * run.files.triggers["track"].concurrency}") &&
      output.workers_wanted.age == "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource=\"pubsub_subscription\",subscription_id=\"trackdrop-track\"}) / 600 * 40"
    )
    error_message = "The metric that drives the workers is not what waits, for how long, and what a segment takes."
  }

  assert {
    condition = [for object in yamldecode(google_parameter_manager_parameter_version.autoscaler[0].parameter_data).spec.scaledObjects : [
      for trigger in object.spec.triggers : trigger.metadata.query
      ]] == [
      ["${output.workers_wanted.age} * 30 / 40", "${output.workers_wanted.backlog} * 30 / 40"],
      ["${output.workers_wanted.age} * 10 / 40", "${output.workers_wanted.backlog} * 10 / 40"],
    ]
    error_message = "The autoscaler does not share the workers out by the pools' sizes."
  }

  # One worker for one that is wanted, read from this project's metrics as the autoscaler's own account.
  assert {
    condition = alltrue([for trigger in flatten(yamldecode(google_parameter_manager_parameter_version.autoscaler[0].parameter_data).spec.scaledObjects[*].spec.triggers) :
      trigger.type == "prometheus" && trigger.metadata.threshold == "1" &&
      trigger.metadata.serverAddress == "https://monitoring.googleapis.com/v1/projects/${var.project}/location/global/prometheus" &&
      trigger.authenticationRef.name == yamldecode(google_parameter_manager_parameter_version.autoscaler[0].parameter_data).spec.triggerAuthentications[0].metadata.name
      ]) && (
      yamldecode(google_parameter_manager_parameter_version.autoscaler[0].parameter_data).spec.triggerAuthentications[0].spec.podIdentity.provider == "gcp" &&
      toset([for member in google_project_iam_member.autoscaler : member.role]) == toset(["roles/monitoring.metricWriter", "roles/monitoring.viewer", "roles/parametermanager.parameterViewer"])
    )
    error_message = "The autoscaler does not read the metric, or may not."
  }

  assert {
    condition = (
      google_cloud_run_v2_service.autoscaler[0].ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" &&
      google_cloud_run_v2_service.autoscaler[0].scaling[0].manual_instance_count == 1 &&
      alltrue([for member in google_cloud_run_v2_worker_pool_iam_member.autoscaler : member.role == "roles/run.developer"]) &&
      length(google_cloud_run_v2_worker_pool_iam_member.autoscaler) == 2 &&
      google_service_account_iam_member.autoscaler[0].role == "roles/iam.serviceAccountUser"
    )
    error_message = "The autoscaler can be reached, is not alone, or may not do its work."
  }
}

run "a_gpu_with_too_little_beside_it_is_refused" {
  command = plan

  module {
    source = "./modules/functions"
  }

  variables {
    triggers = run.files.triggers
    gpu_cpu  = "2"
  }

  expect_failures = [google_cloud_run_v2_service.this["track"]]
}
