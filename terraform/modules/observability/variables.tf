variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number, which budgets are filtered by."
  type        = string
}

variable "name" {
  description = "What every resource's name begins with."
  type        = string
}

variable "subscriptions" {
  description = "Name of each trigger's subscription."
  type        = map(string)
}

variable "dead_letter_subscriptions" {
  description = "Name of the subscriptions that keep dead letters."
  type        = map(string)
}

variable "pulled" {
  description = "Functions whose workers pull: they answer no requests, so their own log measures them."
  type        = list(string)
}

variable "workers_wanted" {
  description = "Workers that the autoscaler wants, in PromQL, by reason; empty where none pull."
  type        = map(string)
}

variable "alert_emails" {
  description = "Who is notified of alerts."
  type        = list(string)
}

variable "notification_channels" {
  description = "Channels that exist already (a pager, a chat) and are notified too."
  type        = list(string)
}

variable "runbook_url" {
  description = "Where docs/runbook.md is read."
  type        = string
}

variable "oldest_message_s" {
  description = "Age in seconds of a waiting delivery above which an alert opens."
  type        = number
}

variable "error_ratio" {
  description = "Share of deliveries that may fail, 0 to 1."
  type        = number
}

variable "stage_latency_s" {
  description = "Objective of the 95th percentile of every stage, in seconds."
  type        = number
}

variable "stalled_after_s" {
  description = "Seconds after which a request that has not ended counts as stalled."
  type        = number
}

variable "failed_requests" {
  description = "Failed requests in 15 minutes above which an alert opens."
  type        = number
}

variable "objective" {
  description = "Share of deliveries to be answered well over 28 days."
  type        = number
}

variable "gpu_hour_price" {
  description = "Price of a GPU instance an hour, for the chart of costs."
  type        = number
}

variable "currency" {
  description = "Currency of gpu_hour_price."
  type        = string
}

variable "budget" {
  description = "Monthly budget; null for none."
  type        = object({ billing_account = string, amount = number, currency = string })
}

variable "labels" {
  description = "Labels of the alert policies."
  type        = map(string)
}
