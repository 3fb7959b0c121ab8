variable "ignored_uploads" {
  description = "Patterns of names in `uploads` that are not a video's. They replace those of the trigger file; null: the trigger file's."
  type        = list(string)
  default     = null
}

variable "dir" {
  description = "Folder of the trigger files."
  type        = string
}
