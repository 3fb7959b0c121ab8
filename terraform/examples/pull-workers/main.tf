# More than about 10 GPUs: workers in two regions pull from one queue, as many as the backlog wants, none when it is empty.
# docs/deploy.md says how many segments a day that makes, and how to ask for the quota.

variable "project" {
  description = "The project's id."
  type        = string
}

module "trackdrop" {
  source = "../.."

  project = var.project
  region  = "europe-west4"

  track_delivery = "pull"
  workers = {
    "europe-west4" = { max = 10 } # beside the buckets: no traffic across regions is paid
    "europe-west1" = { max = 5 }
  }
  # From the dashboard; the autoscaler wants `segments waiting x seconds_per_segment / drain_target_s` workers.
  seconds_per_segment = 3
  drain_target_s      = 600
}

output "next" {
  description = "What to do next, in this order. Workers are updated in the order of --worker-regions: the smallest region first."
  value = [
    "${module.trackdrop.deploy_command} --worker-regions \"europe-west1 europe-west4\"",
    module.trackdrop.upload_command, module.trackdrop.query_url, module.trackdrop.dashboard_url,
  ]
}
