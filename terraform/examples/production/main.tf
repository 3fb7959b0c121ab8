# Production: GPUs in three regions that pull from one queue, loads by window, alerts to people, a key of one's own, traffic
# inside a perimeter, canaries from a GitHub repository.

variable "project" {
  description = "The project's id."
  type        = string
}

variable "kms_key" {
  description = "Key in europe-west4."
  type        = string
}

variable "billing_account" {
  description = "Who pays, for the budget alert."
  type        = string
}

variable "github_repository_id" {
  description = "gh api repos/OWNER/NAME --jq .id"
  type        = string
}

module "trackdrop" {
  source = "../.."

  project = var.project
  region  = "europe-west4"

  # 60 GPUs: see the table of throughput in docs/capacity.md, and ask for the quota first.
  track_delivery = "pull"
  workers = {
    "europe-west4" = { min = 1, max = 30 }
    "europe-west1" = { max = 20 }
    "us-east4"     = { max = 10 }
  }
  drain_target_s         = 900
  annotate_max_instances = 200
  # As many load jobs a day, whatever the number of videos.
  load_window_minutes = 2

  alert_emails = ["video-oncall@example.com"]
  budget       = { billing_account = var.billing_account, amount = 50000 }

  kms_key              = var.kms_key
  vpc                  = { network = "trackdrop", subnetwork = "trackdrop-europe-west4" }
  binary_authorization = true
  github               = { repository_id = var.github_repository_id }
  require_approval     = true

  labels = { team = "video" }
}

output "github_variables" {
  description = "Variables of the GitHub repository."
  value       = module.trackdrop.github_variables
}

output "next" {
  description = "What to do next, in this order, until the workflow does it."
  value       = module.trackdrop.next
}

output "environment" {
  description = "For commands of one's own: eval \"$(terraform output -raw environment)\""
  value       = module.trackdrop.environment
}
