output "url" {
  description = "Where the console is."
  value       = "https://${local.host}"
}

output "service" {
  description = "Name of the service."
  value       = google_cloud_run_v2_service.this.name
}

output "account_id" {
  description = "Full name of the account that it runs as."
  value       = google_service_account.this.name
}
