# The smallest Trackdrop: one region, up to three L4 that scale to zero. Nothing runs, and next to nothing is paid, until
# a video is dropped.

variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "A region with the L4 on Cloud Run."
  type        = string
  default     = "europe-west4"
}

module "trackdrop" {
  source = "../.."

  project = var.project
  region  = var.region
}

output "next" {
  description = "What to do next, in this order."
  value       = module.trackdrop.next
}

output "environment" {
  description = "For commands of one's own: eval \"$(terraform output -raw environment)\""
  value       = module.trackdrop.environment
}
