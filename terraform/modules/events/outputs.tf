output "subscriptions" {
  description = "Name of each trigger's subscription."
  value       = { for key, subscription in google_pubsub_subscription.trigger : key => subscription.name }
}

output "dead_letter_subscriptions" {
  description = "Name of the subscription that keeps what arrives, by dead letter topic."
  value       = { for key, subscription in google_pubsub_subscription.dead_letter : key => subscription.name }
}

output "schedules" {
  description = "What Cloud Scheduler starts, and when: cron by event."
  value       = { for job in google_cloud_scheduler_job.this : job.http_target[0].headers["ce-type"] => job.schedule }
}

output "topics" {
  description = "Full name of each named topic."
  value       = { for key, topic in google_pubsub_topic.named : key => topic.id }
}
