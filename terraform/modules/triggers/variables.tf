variable "dir" {
  description = "Folder of the trigger files."
  type        = string
}
