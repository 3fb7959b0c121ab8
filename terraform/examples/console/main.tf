# The smallest Trackdrop with its console: a page behind Identity-Aware Proxy for the members that are named here.

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
  console = { members = ["user:you@example.com"] }
}

output "console" {
  description = "Where the console is, once its image is deployed."
  value       = module.trackdrop.console
}

output "next" {
  description = "What to do next, in this order."
  value       = module.trackdrop.next
}

output "environment" {
  description = "For commands of one's own: eval \"$(terraform output -raw environment)\""
  value       = module.trackdrop.environment
}
