output "registry" {
  description = "Where images are pushed: REGION-docker.pkg.dev/PROJECT/REPOSITORY."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "deployer" {
  description = "E-mail of the account that deploys."
  value       = google_service_account.deployer.email
}

output "builder" {
  description = "E-mail of the account that builds."
  value       = google_service_account.builder.email
}

output "workload_identity_provider" {
  description = "What a GitHub workflow authenticates with; null without one."
  value       = one(google_iam_workload_identity_pool_provider.github[*].name)
}
