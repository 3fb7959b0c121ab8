# Two are enough: project and region. Everything else has a default that is right for a start.

variable "project" {
  description = "Id of the Google Cloud project. It must exist and have a billing account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "\"${var.project}\" is no project id: 6 to 30 lower-case letters, digits and hyphens, a letter first. (The id, not the name or the number.)"
  }
}

variable "region" {
  description = "Region of all resources. It must offer the L4 GPU on Cloud Run, unless workers pull in other regions."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "\"${var.region}\" is no region; a region looks like europe-west4 (not a zone, which ends in a letter)."
  }
  validation {
    condition     = var.track_delivery == "pull" || contains(var.gpu_regions, var.region)
    error_message = "Cloud Run offers no L4 in ${var.region}. Take one of ${join(", ", var.gpu_regions)}, or set track_delivery = \"pull\" and give workers in one of them."
  }
}

variable "gpu_regions" {
  description = "Regions in which Cloud Run offers the L4. If Google adds one, add it here."
  type        = list(string)
  default     = ["asia-south1", "asia-southeast1", "europe-west1", "europe-west4", "us-central1", "us-east4"]
}

# --- Throughput ---------------------------------------------------------------------------------------------------------

variable "track_delivery" {
  description = "How chunks reach the GPUs. \"push\": Pub/Sub sends them to a service, for up to about 10 GPUs. \"pull\": workers in any number of regions take them."
  type        = string
  default     = "push"

  validation {
    condition     = contains(["push", "pull"], var.track_delivery)
    error_message = "track_delivery is \"${var.track_delivery}\"; it must be \"push\" or \"pull\"."
  }
  validation {
    condition     = var.track_delivery == "push" || length(var.workers) > 0
    error_message = "track_delivery = \"pull\" needs workers in at least one region: workers = { \"europe-west4\" = { min = 0, max = 10 } }."
  }
}

variable "gpu_max_instances" {
  description = "Largest number of GPU instances if chunks are pushed. A new project has a quota of 3 L4 without zonal redundancy."
  type        = number
  default     = 3

  validation {
    condition     = var.gpu_max_instances >= 1 && var.gpu_max_instances <= 100 && floor(var.gpu_max_instances) == var.gpu_max_instances
    error_message = "gpu_max_instances is ${var.gpu_max_instances}; it must be a whole number from 1 to 100. More GPUs than about 10 are better pulled."
  }
}

variable "workers" {
  description = "Workers that pull, by region: the smallest and the largest number of instances, with one GPU each."
  type        = map(object({ min = optional(number, 0), max = number }))
  default     = {}

  validation {
    condition     = alltrue([for pool in values(var.workers) : pool.min >= 0 && pool.max >= 1 && pool.min <= pool.max])
    error_message = "workers: in every region 0 <= min <= max and max >= 1."
  }
  validation {
    condition     = alltrue([for region in keys(var.workers) : contains(var.gpu_regions, region)])
    error_message = "workers: Cloud Run offers no L4 in ${join(", ", setsubtract(keys(var.workers), var.gpu_regions))}; it does in ${join(", ", var.gpu_regions)}."
  }
}

variable "gpu_shape" {
  description = "CPUs and memory (GiB) of each GPU instance. Cloud Run needs at least 4 and 16."
  type        = object({ cpu = number, memory_gib = number })
  default     = { cpu = 4, memory_gib = 16 }

  validation {
    condition     = contains([4, 6, 8], var.gpu_shape.cpu) && var.gpu_shape.memory_gib >= 16 && var.gpu_shape.memory_gib <= 32
    error_message = "gpu_shape is ${var.gpu_shape.cpu} CPUs and ${var.gpu_shape.memory_gib} GiB; a Cloud Run L4 wants 4, 6 or 8 CPUs and 16 to 32 GiB."
  }
}

variable "annotate_max_instances" {
  description = "Largest number of instances of annotate. Each draws two segments at the same time."
  type        = number
  default     = 20

  validation {
    condition     = var.annotate_max_instances >= 1 && var.annotate_max_instances <= 1000
    error_message = "annotate_max_instances is ${var.annotate_max_instances}; it must be 1 to 1000."
  }
}

variable "seconds_per_segment" {
  description = "Seconds that a pulling worker needs for a segment. The autoscaler uses this until the workers' log has measured it."
  type        = number
  default     = 3

  validation {
    condition     = var.seconds_per_segment > 0
    error_message = "seconds_per_segment is ${var.seconds_per_segment}; it must be above 0."
  }
}

variable "drain_target_s" {
  description = "Seconds in which pulling workers should process the waiting segments."
  type        = number
  default     = 600

  validation {
    condition     = var.drain_target_s >= 60
    error_message = "drain_target_s is ${var.drain_target_s}; below 60 the autoscaler would chase metrics that are older than that."
  }
}

variable "load_window_minutes" {
  description = "Minutes between loads of a window into BigQuery. 0: each request is loaded separately, for up to about 1,000 videos a day."
  type        = number
  default     = 0

  validation {
    condition     = contains([0, 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30], var.load_window_minutes)
    error_message = "load_window_minutes is ${var.load_window_minutes}; it must be 0 or divide an hour, at most 30."
  }
}

variable "sweep_minutes" {
  description = "Minutes between searches for stalled requests. They are restarted, or fail with the reason. 0: never."
  type        = number
  default     = 30

  validation {
    condition     = contains([0, 5, 10, 15, 20, 30], var.sweep_minutes)
    error_message = "sweep_minutes is ${var.sweep_minutes}; it must be 0, 5, 10, 15, 20 or 30."
  }
}

# --- What is kept -------------------------------------------------------------------------------------------------------

variable "work_days" {
  description = "Days after which chunks, annotated segments and markers are deleted."
  type        = number
  default     = 7

  validation {
    condition     = var.work_days >= 2
    error_message = "work_days is ${var.work_days}; a delivery may wait a day for its turn, so at least 2."
  }
}

variable "detections_days" {
  description = "Days after which detections are deleted. Tracking again with other settings reads them and needs no GPU."
  type        = number
  default     = 90

  validation {
    condition     = var.detections_days >= var.work_days
    error_message = "detections_days is ${var.detections_days}; it must not be below work_days (${var.work_days})."
  }
}

variable "uploads_days" {
  description = "Days after which uploads are deleted; null: they are never deleted."
  type        = number
  default     = null

  validation {
    condition     = var.uploads_days == null ? true : var.uploads_days >= 2
    error_message = "uploads_days is ${coalesce(var.uploads_days, 0)}; a delivery may wait a day for its turn, so at least 2."
  }
}

variable "dataset" {
  description = "Id of the BigQuery dataset."
  type        = string
  default     = "trackdrop"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.dataset))
    error_message = "\"${var.dataset}\" is no dataset id: letters, digits and underscores."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete services and tables. Set it to false and apply before a teardown."
  type        = bool
  default     = true
}

# --- Who is notified --------------------------------------------------------------------------------------------------

variable "alert_emails" {
  description = "E-mail addresses that are notified of alerts."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "alert_emails: every entry must be an e-mail address."
  }
}

variable "notification_channels" {
  description = "Resource names of notification channels that exist already (a pager, a chat)."
  type        = list(string)
  default     = []
}

variable "runbook_url" {
  description = "Address of docs/runbook.md in a browser. Alerts have links to it. Null: alerts name the file."
  type        = string
  default     = null

  validation {
    condition     = var.runbook_url == null ? true : can(regex("^https?://[^#]+$", var.runbook_url))
    error_message = "runbook_url is \"${coalesce(var.runbook_url, "null")}\"; it must be a URL without a #: the alert's name is added to it."
  }
}

variable "budget" {
  description = "Monthly budget of the project. There are alerts at 50, 90 and 100 %, and at a forecast of 120 %. It does not stop the spending. The currency must be that of the billing account."
  type        = object({ billing_account = string, amount = number, currency = optional(string, "USD") })
  default     = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.amount >= 1
    error_message = "budget: billing_account looks like 0123AB-4567CD-89EF01, and amount is at least 1."
  }
}

variable "gpu_hour_price" {
  description = "Price of a GPU instance per hour, in dollars, for the chart of the cost per hour of video. The default is for an L4 with 4 CPUs and 16 GiB."
  type        = number
  default     = 1.05

  validation {
    condition     = var.gpu_hour_price > 0
    error_message = "gpu_hour_price is ${var.gpu_hour_price}; it must be above 0."
  }
}

# --- Continuous delivery ------------------------------------------------------------------------------------------------

variable "initial_image" {
  description = "Image of the services until the first deployment. A later apply does not change the image."
  type        = string
  default     = "us-docker.pkg.dev/cloudrun/container/hello"
}

variable "github" {
  description = "The GitHub repository and branch whose workflows may build and deploy, without a key. Its number: gh api repos/OWNER/NAME --jq .id."
  type        = object({ repository_id = string, branch = optional(string, "main") })
  default     = null

  validation {
    condition     = var.github == null ? true : can(regex("^[0-9]+$", var.github.repository_id)) && can(regex("^[A-Za-z0-9._/-]+$", var.github.branch))
    error_message = "github.repository_id must be the repository's number, because a name can be taken over: gh api repos/OWNER/NAME --jq .id"
  }
}

variable "staging" {
  description = "In production: the project in which a release is tested, and which runs the images of this project: its number, and the e-mail of its trackdrop-deployer."
  type        = object({ project_number = string, deployer = string })
  default     = null

  validation {
    condition     = var.staging == null ? true : can(regex("^[0-9]+$", var.staging.project_number)) && endswith(var.staging.deployer, ".iam.gserviceaccount.com")
    error_message = "staging: project_number is a number (gcloud projects describe STAGING --format='value(projectNumber)'), deployer an account's e-mail (terraform output deployer in staging)."
  }
}

variable "cloud_build_repository" {
  description = "Repository connected to Cloud Build, as projects/.../locations/.../connections/.../repositories/...; null for no trigger."
  type        = string
  default     = null

  validation {
    condition     = var.cloud_build_repository == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.cloud_build_repository))
    error_message = "cloud_build_repository is \"${coalesce(var.cloud_build_repository, "null")}\"; it must be projects/.../locations/.../connections/.../repositories/...: gcloud builds repositories list --connection=... --region=... prints it."
  }
}

variable "require_approval" {
  description = "Whether a person must approve each rollout to production."
  type        = bool
  default     = false
}

variable "autoscaler_image" {
  description = "Image of Google's Cloud Run External Metrics Autoscaling, for workers that pull."
  type        = string
  default     = "us-central1-docker.pkg.dev/cloud-run-oss-images/crema-v1/autoscaler:1.0"
}

# --- Security options ---------------------------------------------------------------------------------------------------

variable "kms_key" {
  description = "Your own key for buckets, topics, rows and images, in the same region: projects/.../locations/REGION/keyRings/.../cryptoKeys/...; null for Google's key."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null ? true : can(regex("^projects/[^/]+/locations/${var.region}/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key must be projects/.../locations/${var.region}/keyRings/.../cryptoKeys/...: a key in the region of what it encrypts."
  }
}

variable "vpc" {
  description = "Network and subnetwork (with Private Google Access) through which all outgoing traffic goes, for a service perimeter; null for Google's default."
  type        = object({ network = string, subnetwork = string })
  default     = null
}

variable "binary_authorization" {
  description = "Whether the project's Binary Authorization policy decides which images run."
  type        = bool
  default     = false
}

# --- Settings of the services -----------------------------------------------------------------------------------------

variable "model" {
  description = "Path of the detector in the image of track; null for the default detector of the image."
  type        = string
  default     = null
}

variable "models" {
  description = "Other detectors and appearance networks that uploads can name: paths in the image of track, or gs://BUCKET/OBJECT."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, place in var.models : can(regex("^[^=,\\s]+$", name)) && can(regex("^(/[^,]+|gs://[^/,]+/[^,]+)$", place))])
    error_message = "models: a name has no =, comma or blank; a place is a path that begins with / or gs://BUCKET/OBJECT."
  }
}

variable "model_folders" {
  description = "Folders of buckets whose models uploads can name by their address: gs://BUCKET/FOLDER/."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for folder in var.model_folders : can(regex("^gs://[^/,]+/([^,]*/)?$", folder))])
    error_message = "model_folders: each is gs://BUCKET/ or gs://BUCKET/FOLDER/, with the / at its end."
  }
}

variable "device" {
  description = "Device on which `track` detects: cuda; tensorrt, for engines in the image; or auto, the best available one, which can be the processor."
  type        = string
  default     = "cuda"
  nullable    = false

  validation {
    condition     = contains(["auto", "cuda", "tensorrt"], var.device)
    error_message = "device is \"${var.device}\"; it must be auto, cuda or tensorrt."
  }
}

variable "batch" {
  description = "Pictures per inference, for a detector that does not set it; null for the service's choice (16). TensorRT engines in the image must be built for this number."
  type        = number
  default     = null

  validation {
    condition     = var.batch == null ? true : var.batch >= 1 && var.batch == floor(var.batch)
    error_message = "batch is ${coalesce(var.batch, 0)}; it must be a whole number from 1."
  }
}

variable "video_engine" {
  description = "Decoder of `track`: software, or nvidia for NVDEC if GPU and stream allow it; null for the service's choice (software)."
  type        = string
  default     = null

  validation {
    condition     = var.video_engine == null ? true : contains(["software", "nvidia"], var.video_engine)
    error_message = "video_engine is \"${coalesce(var.video_engine, "null")}\"; it must be software or nvidia."
  }
}

variable "limits" {
  description = "Bounds on a video that differ from the defaults: max_bytes, max_pixels, max_dimension_px, max_frames, max_duration_s, max_streams, max_decode_s, as \"max_frames=500000,max_duration_s=28800\"; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.limits == null ? true : can(regex("^(max_(bytes|pixels|dimension_px|frames|duration_s|streams|decode_s)=[0-9]+(,|$))+$", var.limits))
    error_message = "limits is \"${coalesce(var.limits, "null")}\"; it must be such as \"max_frames=500000,max_duration_s=28800\", of max_bytes, max_pixels, max_dimension_px, max_frames, max_duration_s, max_streams, max_decode_s."
  }
}

variable "console" {
  description = "Turns on the console behind Identity-Aware Proxy, for these members (user:, serviceAccount:, group:, domain:). Optional: your own host names for it, the largest number of bytes for which a statement may be billed, BigQuery's price per TiB, the largest number of instances. Null: there is no console."
  type = object({
    members          = list(string)
    hosts            = optional(list(string), [])
    max_bytes_billed = optional(number, 100000000000)
    usd_per_tib      = optional(number, 6.25)
    max_instances    = optional(number, 2)
  })
  default = null

  validation {
    condition     = var.console == null ? true : length(var.console.members) > 0 && alltrue([for member in var.console.members : can(regex("^((user|serviceAccount|group):[^@,\\s]+@[^@,\\s]+|domain:[^@,\\s]+)$", member))])
    error_message = "console.members is [${var.console == null ? "" : join(", ", var.console.members)}]: name one or more, each user:EMAIL, serviceAccount:EMAIL, group:EMAIL or domain:DOMAIN. Nobody is everybody here."
  }
  validation {
    condition     = var.console == null ? true : var.console.max_bytes_billed >= 10485760 && var.console.usd_per_tib >= 0 && var.console.max_instances >= 1
    error_message = "console: max_bytes_billed is at least 10485760, the least that BigQuery bills; usd_per_tib is 0 or more; max_instances is 1 or more."
  }
  validation {
    condition     = var.console == null ? true : alltrue([for host in var.console.hosts : can(regex("^[a-z0-9.-]+$", host))])
    error_message = "console.hosts is [${var.console == null ? "" : join(", ", var.console.hosts)}]: host names only, such as tracks.example.com."
  }
}

variable "otlp_endpoint" {
  description = "Base URL of a collector that receives traces and metrics by OTLP over HTTP (usually port 4318); null for Google's Telemetry API, which receives the traces."
  type        = string
  default     = null

  validation {
    condition     = var.otlp_endpoint == null ? true : can(regex("^https?://[^/]+", var.otlp_endpoint))
    error_message = "otlp_endpoint is \"${coalesce(var.otlp_endpoint, "null")}\"; it must be a URL such as http://collector:4318 (OTLP over HTTP, not gRPC)."
  }
}

variable "labels" {
  description = "Labels of all resources that can have labels."
  type        = map(string)
  default     = {}
}

variable "ignored_uploads" {
  description = "Patterns of names in `uploads` that are not a video's. They replace those of triggers/split.yaml, which explains the format. Null: those of the file. []: none."
  type        = list(string)
  default     = null

  validation {
    condition     = var.ignored_uploads == null ? true : alltrue([for pattern in var.ignored_uploads : can(regex("^[^,\n]*[^*,\n][^,\n]*$", pattern))])
    error_message = "ignored_uploads: a pattern has no comma, and more in it than *."
  }
}

variable "triggers_dir" {
  description = "Folder of the trigger files; null for that of the repository."
  type        = string
  default     = null
}
