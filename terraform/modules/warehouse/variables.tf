variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
}

variable "dataset" {
  description = "The dataset's id."
  type        = string
}

variable "location" {
  description = "Location of the dataset. It can't be changed later."
  type        = string
}

variable "results_bucket" {
  description = "Name of the bucket of results, which has the scenes."
  type        = string
}

variable "require_partition_filter" {
  description = "Whether a query of a table must filter by uploaded_at. If true, the views do not work, because they have no such filter."
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
  description = "Key that encrypts the rows; null for Google's key."
  type        = string
}

variable "labels" {
  description = "Labels of dataset and tables."
  type        = map(string)
}
