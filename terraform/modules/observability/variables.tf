variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number, by which budgets are filtered."
  type        = string
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
}

variable "subscriptions" {
  description = "Name of each trigger's subscription."
  type        = map(string)
}

variable "dead_letter_subscriptions" {
  description = "Names of the subscriptions that retain dead letters."
  type        = map(string)
}

variable "pulled" {
  description = "Functions whose workers pull. They answer no HTTP requests, so their log measures them."
  type        = list(string)
}

variable "workers_wanted" {
  description = "Number of workers that the autoscaler requests, in PromQL, by reason; empty if none pull."
  type        = map(string)
}

variable "alert_emails" {
  description = "E-mail addresses that are notified of alerts."
  type        = list(string)
}

variable "notification_channels" {
  description = "Channels that exist already (a pager, a chat) and are notified too."
  type        = list(string)
}

variable "runbook_url" {
  description = "Address of docs/runbook.md."
  type        = string
}

variable "oldest_message_s" {
  description = "An alert opens if a delivery waits for more than this many seconds."
  type        = number
}

variable "error_ratio" {
  description = "Share of deliveries that may fail, 0 to 1."
  type        = number
}

variable "stage_latency_s" {
  description = "Objective for the 95th percentile of the time of every stage, in seconds."
  type        = number
}

variable "stalled_after_s" {
  description = "Seconds after which a request that has not ended counts as stalled."
  type        = number
}

variable "failed_requests" {
  description = "An alert opens if more than this many requests fail in 15 minutes."
  type        = number
}

variable "objective" {
  description = "Objective: share of deliveries that are answered successfully over 28 days."
  type        = number
}

variable "gpu_hour_price" {
  description = "Price of a GPU instance per hour, for the chart of costs."
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
