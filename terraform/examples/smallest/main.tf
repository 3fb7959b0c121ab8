# The smallest Trackdrop: one region, up to three L4 that scale to zero. Nothing runs, and next to nothing is paid, until
# a video is dropped.

variable "project" {
  description = "The project's id."
  type        = string
}

module "trackdrop" {
  source = "../.."

  project = var.project
  region  = "europe-west4"
}

output "next" {
  description = "What to do next, in this order."
  value       = [module.trackdrop.deploy_command, module.trackdrop.upload_command, module.trackdrop.query_url, module.trackdrop.dashboard_url]
}
