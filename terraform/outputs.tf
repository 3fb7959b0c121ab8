locals {
  upload_command = "gcloud storage cp VIDEO gs://${module.storage.buckets["uploads"]}/"
  query_url      = "https://console.cloud.google.com/bigquery?project=${var.project}&ws=!1m4!1m3!3m2!1s${var.project}!2s${var.dataset}"
  dashboard_url  = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", module.observability.dashboard))[0]}?project=${var.project}"
}

output "next" {
  description = "What to do next, in this order: deploy, upload a video, query its tracks, watch."
  value       = [local.deploy_command, local.upload_command, local.query_url, local.dashboard_url]
}

output "upload_command" {
  description = "Drop a video."
  value       = local.upload_command
}

output "query_url" {
  description = "Query the tracks in SQL."
  value       = local.query_url
}

output "dashboard_url" {
  description = "How much waits, how fast it goes, what it costs."
  value       = local.dashboard_url
}

locals {
  # The smallest pool first: it is the one to find out with, for pools have no traffic that could be split.
  worker_regions = [for pool in sort([for region, pool in var.workers : format("%06d %s", pool.max, region)]) : split(" ", pool)[1]]
  deploy_command = join("", [
    "scripts/delivery/build-images --registry ${module.delivery.registry} && scripts/delivery/deploy --project ${var.project} --region ${var.region}",
    length(local.pulled) > 0 ? " --worker-regions \"${join(" ", local.worker_regions)}\"" : "",
  ])
}

output "deploy_command" {
  description = "Builds the images and deploys them; before it the services answer with a placeholder."
  value       = local.deploy_command
}

output "console" {
  description = "Where the console is; null where it is off."
  value       = one(module.console[*].url)
}

output "buckets" {
  description = "Name of each bucket by its role."
  value       = module.storage.buckets
}

output "dataset" {
  description = "Where the rows are: project.dataset."
  value       = module.warehouse.dataset
}

output "registry" {
  description = "Where images are pushed."
  value       = module.delivery.registry
}

output "deployer" {
  description = "E-mail of the account that deploys: production's variable `staging` needs it."
  value       = module.delivery.deployer
}

output "github_variables" {
  description = "Variables of the GitHub repository (Settings, Secrets and variables, Actions) for its workflow."
  value = {
    GCP_WORKLOAD_IDENTITY_PROVIDER = module.delivery.workload_identity_provider
    GCP_BUILDER                    = module.delivery.builder
    GCP_DEPLOYER                   = module.delivery.deployer
    GCP_REGISTRY                   = module.delivery.registry
    GCP_PROJECT                    = var.project
    GCP_REGION                     = var.region
    GCP_WORKER_REGIONS             = length(local.pulled) > 0 ? join(" ", local.worker_regions) : ""
  }
}

output "schedules" {
  description = "What Cloud Scheduler starts, and when: cron by event."
  value       = module.events.schedules
}

output "environment" {
  description = "What the services know, for commands of one's own: eval \"$(terraform output -raw environment)\", then trackdrop dead-letters list."
  value = join("", [for name, value in {
    GOOGLE_CLOUD_PROJECT                = var.project
    TRACKDROP_BUCKET_UPLOADS            = module.storage.buckets["uploads"]
    TRACKDROP_BUCKET_WORK               = module.storage.buckets["work"]
    TRACKDROP_BUCKET_RESULTS            = module.storage.buckets["results"]
    TRACKDROP_TOPIC_REQUESTS            = module.events.topics["requests"]
    TRACKDROP_TOPIC_UPLOADS             = "projects/${var.project}/topics/${local.name}-uploads"
    TRACKDROP_TOPIC_WORK                = "projects/${var.project}/topics/${local.name}-work"
    TRACKDROP_DATASET                   = "${var.project}.${var.dataset}"
    TRACKDROP_DATASET_LOCATION          = var.region
    TRACKDROP_DEAD_LETTERS_SUBSCRIPTION = "projects/${var.project}/subscriptions/${module.events.dead_letter_subscriptions["dead-letters"]}"
  } : "export ${name}='${value}'\n"])
}
