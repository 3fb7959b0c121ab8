variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "What every resource's name begins with."
  type        = string
}

variable "dataset" {
  description = "The dataset's id."
  type        = string
}

variable "location" {
  description = "Where the rows lie. Can't be changed later."
  type        = string
}

variable "results_bucket" {
  description = "Name of the bucket of results, where scenes are."
  type        = string
}

variable "require_partition_filter" {
  description = "Whether a query of a table must name a span of uploaded_at. The views have no such filter and stop working."
  type        = bool
}

variable "function_accounts" {
  description = "E-mail of each function's service account."
  type        = map(string)
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete tables."
  type        = bool
}

variable "kms_key" {
  description = "Key that encrypts the rows; null for Google's own."
  type        = string
}

variable "labels" {
  description = "Labels of dataset and tables."
  type        = map(string)
}
