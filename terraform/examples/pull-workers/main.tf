# More than about 10 GPUs: workers in two regions pull from one queue, as many as the backlog wants, none when it is empty.
# docs/capacity.md says how many segments a day that makes, and docs/deploy.md how to ask for the quota.

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
  # What waits is to be cleared in ten minutes; nothing older than that is left without all of the workers.
  drain_target_s = 600
}

output "next" {
  description = "What to do next, in this order. Workers are updated one region after the other, the smallest first."
  value       = module.trackdrop.next
}

output "environment" {
  description = "For commands of one's own: eval \"$(terraform output -raw environment)\""
  value       = module.trackdrop.environment
}
