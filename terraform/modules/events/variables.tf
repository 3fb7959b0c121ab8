variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Region of the scheduler."
  type        = string
}

variable "regions" {
  description = "Regions that may store messages."
  type        = list(string)
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
}

variable "triggers" {
  description = "The trigger files by their name without ending, as yamldecode returns them."
  type = map(object({
    function = string
    on = object({
      event  = string
      bucket = optional(string)
      prefix = optional(string, "")
      ignore = optional(list(string), [])
      topic  = optional(string)
    })
    concurrency = number
    deadline_s  = number
    retry       = object({ attempts = number, min_backoff_s = number, max_backoff_s = number })
    dead_letter = optional(string)
  }))
}

variable "buckets" {
  description = "Name of each bucket by its role."
  type        = map(string)
}

variable "endpoints" {
  description = "Address of each function, and the audience that its token must have."
  type        = map(object({ url = string, audience = string }))
}

variable "pulled" {
  description = "Functions whose workers pull: their subscriptions do not push."
  type        = list(string)
}

variable "function_accounts" {
  description = "E-mail of each function's service account."
  type        = map(string)
}

variable "sweeper" {
  description = "The function that searches for stalled requests; null for none."
  type        = string
}

variable "invoker" {
  description = "E-mail of the service account that calls the functions."
  type        = string
}

variable "invoker_id" {
  description = "Resource name of the service account that calls the functions."
  type        = string
}

variable "pubsub_agent" {
  description = "E-mail of Pub/Sub's service agent."
  type        = string
}

variable "storage_agent" {
  description = "E-mail of Cloud Storage's service agent."
  type        = string
}

variable "schedules" {
  description = "What Cloud Scheduler starts: every N minutes it sends an event of this type to a function."
  type        = map(object({ function = string, minutes = number, event = string, description = string }))
}

variable "kms_key" {
  description = "Key that encrypts the messages; null for Google's key."
  type        = string
}

variable "labels" {
  description = "Labels of topics and subscriptions."
  type        = map(string)
}
