variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
}

variable "location" {
  description = "Location of the buckets: a region, or a multi-region such as EU."
  type        = string
}

variable "work_days" {
  description = "Days after which chunks, annotated segments and markers are deleted."
  type        = number
}

variable "detections_days" {
  description = "Days after which detections are deleted. Tracking again reads them."
  type        = number
}

variable "uploads_days" {
  description = "Days after which uploads are deleted; null: they are never deleted."
  type        = number
}

variable "soft_delete_days" {
  description = "Days for which a deleted upload or result can be restored; 0 for none."
  type        = number
}

variable "kms_key" {
  description = "Key that encrypts the objects; null for Google's key."
  type        = string
}

variable "labels" {
  description = "Labels of the buckets."
  type        = map(string)
}
