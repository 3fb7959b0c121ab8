variable "project" {
  description = "The project's id."
  type        = string
}

variable "name" {
  description = "What every resource's name begins with."
  type        = string
}

variable "location" {
  description = "Where the buckets lie: a region, or a multi-region such as EU."
  type        = string
}

variable "work_days" {
  description = "Days after which chunks, annotated segments and markers are deleted."
  type        = number
}

variable "detections_days" {
  description = "Days after which detections are deleted; re-tracking reads them."
  type        = number
}

variable "uploads_days" {
  description = "Days after which uploads are deleted; null keeps them."
  type        = number
}

variable "soft_delete_days" {
  description = "Days in which a deleted upload or result can be restored; 0 turns it off."
  type        = number
}

variable "kms_key" {
  description = "Key that encrypts the objects; null for Google's own."
  type        = string
}

variable "labels" {
  description = "Labels of the buckets."
  type        = map(string)
}
