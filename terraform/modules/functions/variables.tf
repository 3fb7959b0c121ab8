variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Region of the services."
  type        = string
}

variable "name" {
  description = "Prefix of every resource's name."
  type        = string
}

variable "triggers" {
  description = "The trigger files by their name without ending, as yamldecode returns them."
  type = map(object({
    function = string
    on = object({
      event  = string
      bucket = optional(string)
      prefix = optional(string, "")
      ignore = optional(list(string), [])
      topic  = optional(string)
    })
    concurrency = number
    deadline_s  = number
    retry       = object({ attempts = number, min_backoff_s = number, max_backoff_s = number })
    dead_letter = optional(string)
  }))
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
  description = "Image of a service until continuous delivery deploys the first one."
  type        = string
}

variable "model" {
  description = "Path of the model in the image of track; null for the default model of the image."
  type        = string
}

variable "models" {
  description = "Detectors and appearance networks that uploads can name: paths in the image of track, or gs://BUCKET/OBJECT."
  type        = map(string)
}

variable "model_folders" {
  description = "Folders of buckets whose models uploads can name: gs://BUCKET/FOLDER/."
  type        = list(string)
}

variable "device" {
  description = "Device on which `track` detects: auto, cuda or tensorrt."
  type        = string
}

variable "batch" {
  description = "Pictures per inference of `track`, for models that do not set it; null: the service chooses."
  type        = number
}

variable "video_engine" {
  description = "Decoder of `track`: software or nvidia; null: the service chooses."
  type        = string
}

variable "limits" {
  description = "Bounds on videos that differ from the defaults, as name=value,...; null for none."
  type        = string
}

variable "load_window" {
  description = "Whether the scheduler starts loads by window. If false, each request is loaded separately."
  type        = bool
}

variable "sweep" {
  description = "Seconds without activity after which the sweeper restarts a request, and after which it fails it; null for no sweeper."
  type        = object({ stalled_s = number, give_up_s = number })
}

variable "otlp_endpoint" {
  description = "Collector that receives traces and metrics by OTLP over HTTP; null for Google's Telemetry API, which receives the traces."
  type        = string
}

variable "answer_margin_s" {
  description = "A service stops its work on a message this many seconds before Pub/Sub sends the message again."
  type        = number
  default     = 15
}

variable "pulled" {
  description = "Functions whose workers pull; they have no service."
  type        = list(string)
}

variable "workers" {
  description = "Workers that pull, by region."
  type        = map(object({ min = number, max = number }))
}

variable "gpu_type" {
  description = "The GPU of track."
  type        = string
}

variable "gpu_cpu" {
  description = "CPUs of a GPU instance."
  type        = string
}

variable "gpu_memory" {
  description = "Memory of a GPU instance."
  type        = string
}

variable "gpu_max_instances" {
  description = "Largest number of GPU instances, in push mode."
  type        = number
}

variable "gpu_concurrency_utilization" {
  description = "Share of its concurrency at which a GPU instance counts as full."
  type        = number
}

variable "annotate_max_instances" {
  description = "Largest number of instances of annotate."
  type        = number
}

variable "seconds_per_segment" {
  description = "Seconds that a worker needs for a segment. Used until the worker's log has measured it."
  type        = number
}

variable "drain_target_s" {
  description = "Seconds in which a backlog should be processed."
  type        = number
}

variable "autoscaler_image" {
  description = "Image of Cloud Run External Metrics Autoscaling."
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
  description = "Key that encrypts images on the instances; null for Google's key."
  type        = string
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete services."
  type        = bool
}

variable "labels" {
  description = "Labels of the services."
  type        = map(string)
}
