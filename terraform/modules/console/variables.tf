variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number: the proxy's tokens and the service's address name it."
  type        = string
}

variable "region" {
  description = "Region of the service."
  type        = string
}

variable "name" {
  description = "What every resource's name begins with."
  type        = string
}

variable "buckets" {
  description = "Name of each bucket by its role."
  type        = map(string)
}

variable "dataset" {
  description = "BigQuery dataset."
  type        = string
}

variable "image" {
  description = "Image until continuous delivery brings the first one."
  type        = string
}

variable "members" {
  description = "Who may use the console, as IAM writes members."
  type        = list(string)
}

variable "hosts" {
  description = "Host names of one's own in front of the service."
  type        = list(string)
}

variable "max_bytes_billed" {
  description = "Bytes that a statement may be billed for."
  type        = number
}

variable "usd_per_tib" {
  description = "BigQuery's price of a TiB in the region."
  type        = number
}

variable "max_instances" {
  description = "Instances at most."
  type        = number
}

variable "models" {
  description = "Detectors and appearance networks that uploads may ask for, by name."
  type        = map(string)
}

variable "model_folders" {
  description = "Folders of buckets whose models uploads may ask for."
  type        = list(string)
}

variable "limits" {
  description = "Bounds on videos that depart from the built-in ones; null for none."
  type        = string
}

variable "vpc" {
  description = "Network through which all traffic leaves; null for Google's default."
  type        = object({ network = string, subnetwork = string })
}

variable "binary_authorization" {
  description = "Whether the project's Binary Authorization policy decides which images run."
  type        = bool
}

variable "kms_key" {
  description = "Key that encrypts the image on the instances; null for Google's own."
  type        = string
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
}

variable "labels" {
  description = "Labels of the service."
  type        = map(string)
}
