output "upload_command" {
  description = "Drop a video."
  value       = "gcloud storage cp VIDEO gs://${module.storage.buckets["uploads"]}/"
}

output "query_url" {
  description = "Query the tracks in SQL."
  value       = "https://console.cloud.google.com/bigquery?project=${var.project}&ws=!1m4!1m3!3m2!1s${var.project}!2s${var.dataset}"
}

output "dashboard_url" {
  description = "How much waits, how fast it goes, what it costs."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", module.observability.dashboard))[0]}?project=${var.project}"
}

output "deploy_command" {
  description = "Builds the images and deploys them; before it the services answer with a placeholder."
  value       = "scripts/build-images --registry ${module.delivery.registry} && scripts/deploy --project ${var.project} --region ${var.region}"
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
  description = "E-mail of the account that deploys: what production is told about staging."
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
  }
}
