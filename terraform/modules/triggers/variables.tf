variable "ignored_uploads" {
  description = "Patterns of names in `uploads` that are no video, in place of those of the trigger file; null for those."
  type        = list(string)
  default     = null
}

variable "dir" {
  description = "Folder of the trigger files."
  type        = string
}
