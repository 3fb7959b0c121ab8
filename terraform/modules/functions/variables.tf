variable "project" {
  description = "The project's id."
  type        = string
}

variable "region" {
  description = "Region of the services."
  type        = string
}

variable "name" {
  description = "What every resource's name begins with."
  type        = string
}

variable "triggers" {
  description = "The trigger files by their name without ending, as yamldecode gives them."
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
  description = "Image of a service until continuous delivery brings the first one."
  type        = string
}

variable "model" {
  description = "Path of the model inside the track image; null for the image's own."
  type        = string
}

variable "models" {
  description = "Detectors and appearance networks that uploads may ask for, by name: paths inside the track image, or gs://BUCKET/OBJECT."
  type        = map(string)
}

variable "model_folders" {
  description = "Folders of buckets whose models uploads may ask for: gs://BUCKET/FOLDER/."
  type        = list(string)
}

variable "device" {
  description = "What `track` detects on: auto, cuda or tensorrt."
  type        = string
}

variable "batch" {
  description = "Pictures per inference of `track`, for models that leave it open; null for the service's own choice."
  type        = number
}

variable "video_engine" {
  description = "What `track` decodes with: software or nvidia; null for the service's own choice."
  type        = string
}

variable "limits" {
  description = "Bounds on videos that depart from the built-in ones, as name=value,...; null for none."
  type        = string
}

variable "load_window" {
  description = "Whether the scheduler starts loads by window; each request is loaded by itself otherwise."
  type        = bool
}

variable "sweep" {
  description = "Seconds without activity before the sweeper restarts a request, and before it fails it; null for no sweeper."
  type        = object({ stalled_s = number, give_up_s = number })
}

variable "otlp_endpoint" {
  description = "Collector that traces and metrics go to by OTLP over HTTP; null for Google's Telemetry API, which takes the traces."
  type        = string
}

variable "answer_margin_s" {
  description = "Seconds before Pub/Sub sends a message again at which a service stops working on it."
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
  description = "GPU instances at most, in push mode."
  type        = number
}

variable "gpu_concurrency_utilization" {
  description = "Share of its concurrency at which a GPU instance counts as full."
  type        = number
}

variable "annotate_max_instances" {
  description = "Instances of annotate at most."
  type        = number
}

variable "seconds_per_segment" {
  description = "Seconds that a segment takes a worker, until its log has them."
  type        = number
}

variable "drain_target_s" {
  description = "Seconds in which a backlog should be cleared."
  type        = number
}

variable "autoscaler_image" {
  description = "Image of Cloud Run External Metrics Autoscaling."
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
  description = "Key that encrypts images on the instances; null for Google's own."
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
