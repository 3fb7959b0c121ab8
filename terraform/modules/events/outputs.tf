output "subscriptions" {
  description = "Name of each trigger's subscription."
  value       = { for key, subscription in google_pubsub_subscription.trigger : key => subscription.name }
}

output "dead_letter_subscriptions" {
  description = "Name of the subscription that keeps what arrives, by dead letter topic."
  value       = { for key, subscription in google_pubsub_subscription.dead_letter : key => subscription.name }
}

output "topics" {
  description = "Full name of each named topic."
  value       = { for key, topic in google_pubsub_topic.named : key => topic.id }
}
