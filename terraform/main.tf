# Trackdrop on Google Cloud: drop a video in a bucket, query its object tracks in SQL. docs/deploy.md is the way through.

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = local.labels
  # Budgets are refused without a project that pays for the call.
  user_project_override = true
  billing_project       = var.project
}

locals {
  name   = "trackdrop"
  labels = merge({ product = "trackdrop" }, var.labels)
  pulled = var.track_delivery == "pull" ? ["track"] : []

  # The services that Trackdrop uses, and those that options add.
  services = toset(concat(
    [
      "artifactregistry.googleapis.com", "bigquery.googleapis.com", "cloudbuild.googleapis.com",
      "clouddeploy.googleapis.com", "cloudresourcemanager.googleapis.com", "cloudscheduler.googleapis.com",
      "cloudtrace.googleapis.com", "containeranalysis.googleapis.com", "containerscanning.googleapis.com",
      "iam.googleapis.com", "iamcredentials.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com",
      "ondemandscanning.googleapis.com", "pubsub.googleapis.com", "run.googleapis.com", "storage.googleapis.com",
      "sts.googleapis.com",
    ],
    var.otlp_endpoint == null ? ["telemetry.googleapis.com"] : [],
    var.track_delivery == "pull" ? ["parametermanager.googleapis.com"] : [],
    var.kms_key != null ? ["cloudkms.googleapis.com"] : [],
    var.binary_authorization ? ["binaryauthorization.googleapis.com"] : [],
    var.budget != null ? ["billingbudgets.googleapis.com"] : [],
    var.console != null ? ["iap.googleapis.com"] : [],
  ))
}

resource "google_project_service" "this" {
  for_each = local.services

  project = var.project
  service = each.key
  # Others may use them: a teardown of Trackdrop leaves them on.
  disable_on_destroy = false
}

# Neither waits for the services: a data source that waits for a change is not known until it is made, and everything named
# after it would be planned again. docs/deploy.md turns on the three services that these two ask.
data "google_project" "this" {
  project_id = var.project
}

# Asking makes the agent, should the project have none yet.
data "google_storage_project_service_account" "this" {
  project = var.project
}

locals {
  number       = data.google_project.this.number
  pubsub_agent = "service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# --- Encryption with a key of the user's own ----------------------------------------------------------------------------

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = var.kms_key == null ? {} : {
    storage  = data.google_storage_project_service_account.this.email_address
    pubsub   = local.pubsub_agent
    bigquery = "bq-${local.number}@bigquery-encryption.iam.gserviceaccount.com"
    run      = "service-${local.number}@serverless-robot-prod.iam.gserviceaccount.com"
    registry = "service-${local.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
  }

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
}

locals {
  # A resource that takes the key from here waits until the agents may use it.
  kms_key = var.kms_key == null ? null : values(google_kms_crypto_key_iam_member.agents)[0].crypto_key_id
}

locals {
  # The alert and the sweeper, which look for stalled requests, have the same patience.
  stalled_after_s = 7200
  # Counted from the last publication of its events. So a request fails two to three times as long after it stalled: a day before its chunks go.
  sweep = var.sweep_minutes == 0 ? null : { stalled_s = local.stalled_after_s, give_up_s = min(9, var.work_days - 1) * 86400 / 3 }
}

# --- The product --------------------------------------------------------------------------------------------------------

module "triggers" {
  source = "./modules/triggers"

  dir             = coalesce(var.triggers_dir, "${path.module}/../triggers")
  ignored_uploads = var.ignored_uploads
}

module "storage" {
  source = "./modules/storage"

  project          = var.project
  name             = local.name
  location         = var.region
  work_days        = var.work_days
  detections_days  = var.detections_days
  uploads_days     = var.uploads_days
  soft_delete_days = 7
  kms_key          = local.kms_key
  labels           = local.labels

  depends_on = [google_project_service.this]
}

module "functions" {
  source = "./modules/functions"

  project                     = var.project
  region                      = var.region
  name                        = local.name
  triggers                    = module.triggers.triggers
  buckets                     = module.storage.buckets
  dataset                     = var.dataset
  image                       = var.initial_image
  model                       = var.model
  models                      = var.models
  model_folders               = var.model_folders
  device                      = var.device
  batch                       = var.batch
  video_engine                = var.video_engine
  limits                      = var.limits
  load_window                 = var.load_window_minutes > 0
  sweep                       = local.sweep
  otlp_endpoint               = var.otlp_endpoint
  pulled                      = local.pulled
  workers                     = var.workers
  gpu_type                    = "nvidia-l4"
  gpu_cpu                     = tostring(var.gpu_shape.cpu)
  gpu_memory                  = "${var.gpu_shape.memory_gib}Gi"
  gpu_max_instances           = var.gpu_max_instances
  gpu_concurrency_utilization = 0.95
  annotate_max_instances      = var.annotate_max_instances
  seconds_per_segment         = var.seconds_per_segment
  drain_target_s              = var.drain_target_s
  autoscaler_image            = var.autoscaler_image
  vpc                         = var.vpc
  binary_authorization        = var.binary_authorization
  kms_key                     = local.kms_key
  deletion_protection         = var.deletion_protection
  labels                      = local.labels

  depends_on = [google_project_service.this]
}

module "events" {
  source = "./modules/events"

  project           = var.project
  region            = var.region
  regions           = distinct(concat([var.region], keys(var.workers)))
  name              = local.name
  triggers          = module.triggers.triggers
  buckets           = module.storage.buckets
  endpoints         = module.functions.endpoints
  pulled            = local.pulled
  function_accounts = module.functions.accounts
  sweeper           = local.sweep == null ? null : "fail"
  invoker           = module.functions.invoker.email
  invoker_id        = module.functions.invoker.id
  pubsub_agent      = local.pubsub_agent
  storage_agent     = data.google_storage_project_service_account.this.email_address
  kms_key           = local.kms_key
  labels            = local.labels

  schedules = { for job, schedule in {
    load-window = {
      function    = "load", minutes = var.load_window_minutes, event = "trackdrop.load.window"
      description = "Loads what a window gathered into BigQuery."
    }
    sweep = {
      function    = "fail", minutes = var.sweep_minutes, event = "trackdrop.requests.sweep"
      description = "Restarts stalled requests."
    }
  } : job => schedule if schedule.minutes > 0 }

  depends_on = [google_project_service.this]
}

module "warehouse" {
  source = "./modules/warehouse"

  project                  = var.project
  name                     = local.name
  dataset                  = var.dataset
  location                 = var.region
  results_bucket           = module.storage.buckets["results"]
  require_partition_filter = false
  function_accounts        = module.functions.accounts
  deletion_protection      = var.deletion_protection
  kms_key                  = local.kms_key
  labels                   = local.labels

  depends_on = [google_project_service.this]
}

module "console" {
  source = "./modules/console"
  count  = var.console == null ? 0 : 1

  project              = var.project
  project_number       = local.number
  region               = var.region
  name                 = local.name
  buckets              = module.storage.buckets
  dataset              = split(".", module.warehouse.dataset)[1]
  image                = var.initial_image
  members              = var.console.members
  hosts                = var.console.hosts
  max_bytes_billed     = var.console.max_bytes_billed
  usd_per_tib          = var.console.usd_per_tib
  max_instances        = var.console.max_instances
  models               = var.models
  model_folders        = var.model_folders
  limits               = var.limits
  vpc                  = var.vpc
  binary_authorization = var.binary_authorization
  kms_key              = local.kms_key
  deletion_protection  = var.deletion_protection
  labels               = local.labels

  depends_on = [google_project_service.this]
}

module "observability" {
  source = "./modules/observability"

  project                   = var.project
  project_number            = local.number
  name                      = local.name
  subscriptions             = module.events.subscriptions
  dead_letter_subscriptions = module.events.dead_letter_subscriptions
  pulled                    = local.pulled
  workers_wanted            = module.functions.workers_wanted
  alert_emails              = var.alert_emails
  notification_channels     = var.notification_channels
  runbook_url               = var.runbook_url
  oldest_message_s          = 1800
  error_ratio               = 0.05
  stage_latency_s           = 300
  stalled_after_s           = local.stalled_after_s
  failed_requests           = 10
  objective                 = 0.995
  gpu_hour_price            = var.gpu_hour_price
  currency                  = "USD"
  budget                    = var.budget
  labels                    = local.labels

  depends_on = [google_project_service.this]
}

locals {
  # What continuous delivery may bring images to: the console is no part of a canary, which follows errors of deliveries.
  account_ids = merge(module.functions.account_ids, { for console in module.console : "console" => console.account_id })
}

module "delivery" {
  source = "./modules/delivery"

  project                = var.project
  region                 = var.region
  name                   = local.name
  services               = module.functions.services
  console                = one(module.console[*].service)
  worker_pools           = module.functions.worker_pools
  worker_regions         = length(local.pulled) > 0 ? local.worker_regions : []
  account_ids            = local.account_ids
  buckets                = module.storage.buckets
  dataset                = split(".", module.warehouse.dataset)[1]
  github                 = var.github
  staging                = var.staging
  cloud_build_repository = var.cloud_build_repository
  canary_alerts          = module.observability.canary_alerts
  analysis_s             = 900
  require_approval       = var.require_approval
  kms_key                = local.kms_key
  labels                 = local.labels

  depends_on = [google_project_service.this]
}
