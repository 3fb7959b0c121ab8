variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Region of the registry and of the services."
  type        = string
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
}

variable "console" {
  description = "Name of the console's service; null if there is none."
  type        = string
}

variable "services" {
  description = "Name of each function's service."
  type        = map(string)
}

variable "worker_pools" {
  description = "Name of the worker pool in each region."
  type        = map(string)
}

variable "worker_regions" {
  description = "Regions whose workers pull, in the order in which they are updated; empty if none do."
  type        = list(string)
}

variable "account_ids" {
  description = "Resource name of each function's service account."
  type        = map(string)
}

variable "buckets" {
  description = "Name of each bucket by its role."
  type        = map(string)
}

variable "dataset" {
  description = "BigQuery dataset that the smoke test queries."
  type        = string
}

variable "github" {
  description = "The repository whose workflows may build and deploy; null for none."
  type        = object({ repository_id = string, branch = string })
}

variable "staging" {
  description = "The project in which a release is tested: it runs these images and marks them; null for none."
  type        = object({ project_number = string, deployer = string })
}

variable "cloud_build_repository" {
  description = "Resource name of the repository connected to Cloud Build; null for no trigger."
  type        = string
}

variable "canary_alerts" {
  description = "Resource names of the alert policies that fail a canary."
  type        = list(string)
}

variable "analysis_s" {
  description = "Seconds for which each share of a canary is observed."
  type        = number
}

variable "require_approval" {
  description = "Whether a person must approve each rollout to production."
  type        = bool
}

variable "kms_key" {
  description = "Key that encrypts the images; null for Google's key."
  type        = string
}

variable "labels" {
  description = "Labels of the resources."
  type        = map(string)
}
