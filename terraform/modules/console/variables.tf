variable "project" {
  description = "The project's id."
  type        = string
}

variable "project_number" {
  description = "The project's number, which is in the proxy's tokens and in the service's address."
  type        = string
}

variable "region" {
  description = "Region of the service."
  type        = string
}

variable "name" {
  description = "Prefix of every resource's name."
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
  description = "Image until continuous delivery deploys the first one."
  type        = string
}

variable "members" {
  description = "Members that may use the console, in the format of IAM."
  type        = list(string)
}

variable "hosts" {
  description = "Your own host names for the service."
  type        = list(string)
}

variable "max_bytes_billed" {
  description = "Largest number of bytes for which a statement may be billed."
  type        = number
}

variable "usd_per_tib" {
  description = "BigQuery's price per TiB in the region."
  type        = number
}

variable "max_instances" {
  description = "Largest number of instances."
  type        = number
}

variable "models" {
  description = "Detectors and appearance networks that uploads can name."
  type        = map(string)
}

variable "model_folders" {
  description = "Folders of buckets whose models uploads can name."
  type        = list(string)
}

variable "limits" {
  description = "Bounds on videos that differ from the defaults; null for none."
  type        = string
}

variable "vpc" {
  description = "Network through which all outgoing traffic goes; null for Google's default."
  type        = object({ network = string, subnetwork = string })
}

variable "binary_authorization" {
  description = "Whether the project's Binary Authorization policy decides which images run."
  type        = bool
}

variable "kms_key" {
  description = "Key that encrypts the image on the instances; null for Google's key."
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
