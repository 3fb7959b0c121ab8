output "dashboard" {
  description = "Resource name of the dashboard."
  value       = google_monitoring_dashboard.this.id
}

output "canary_alerts" {
  description = "Resource names of the alert policies that fail a canary."
  value       = [for key, policy in google_monitoring_alert_policy.this : policy.name if local.alerts[key].canary]
}
