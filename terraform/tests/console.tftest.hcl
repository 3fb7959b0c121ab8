# The console: behind the proxy for its members, with an account of its own that reads, and opens uploads.

mock_provider "google" {}

variables {
  project        = "a-project-id-of-thirty-letters"
  project_number = "123456789012"
  region         = "europe-west4"
  name           = "trackdrop"
  buckets = {
    uploads = "a-project-id-of-thirty-letters-trackdrop-uploads"
    work    = "a-project-id-of-thirty-letters-trackdrop-work"
    results = "a-project-id-of-thirty-letters-trackdrop-results"
  }
  dataset              = "tracks_of_videos"
  image                = "registry.example/image"
  members              = ["user:ann@example.com", "domain:films.example"]
  hosts                = ["tracks.example.com"]
  max_bytes_billed     = 50000000000
  usd_per_tib          = 7.5
  max_instances        = 2
  models               = { big = "gs://acme-models/big.onnx" }
  model_folders        = []
  limits               = "max_frames=5"
  vpc                  = null
  binary_authorization = false
  kms_key              = null
  deletion_protection  = true
  labels               = {}
}

run "console" {
  module {
    source = "./modules/console"
  }

  assert {
    condition = (
      google_cloud_run_v2_service.this.iap_enabled &&
      google_cloud_run_v2_service.this.invoker_iam_disabled == false &&
      google_cloud_run_v2_service_iam_member.proxy.role == "roles/run.invoker" &&
      google_cloud_run_v2_service_iam_member.proxy.member == "serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com"
    )
    error_message = "Somebody can call the console past Identity-Aware Proxy, or the proxy can't."
  }

  assert {
    condition = (
      toset([for grant in google_iap_web_cloud_run_service_iam_member.member : grant.member]) == toset(var.members) &&
      alltrue([for grant in google_iap_web_cloud_run_service_iam_member.member : grant.role == "roles/iap.httpsResourceAccessor"])
    )
    error_message = "Not the members, and nobody else, come through the proxy."
  }

  assert {
    condition = { for env in google_cloud_run_v2_service.this.template[0].containers[0].env : env.name => env.value } == {
      GOOGLE_CLOUD_PROJECT               = "a-project-id-of-thirty-letters"
      TRACKDROP_BUCKET_UPLOADS           = "a-project-id-of-thirty-letters-trackdrop-uploads"
      TRACKDROP_BUCKET_WORK              = "a-project-id-of-thirty-letters-trackdrop-work"
      TRACKDROP_BUCKET_RESULTS           = "a-project-id-of-thirty-letters-trackdrop-results"
      TRACKDROP_TOPIC_REQUESTS           = "projects/a-project-id-of-thirty-letters/topics/trackdrop-requests"
      TRACKDROP_DATASET                  = "a-project-id-of-thirty-letters.tracks_of_videos"
      TRACKDROP_DATASET_LOCATION         = "europe-west4"
      TRACKDROP_LIMITS                   = "max_frames=5"
      TRACKDROP_MODELS                   = "big=gs://acme-models/big.onnx"
      TRACKDROP_IAP_AUDIENCE             = "/projects/123456789012/locations/europe-west4/services/trackdrop-console"
      TRACKDROP_CONSOLE_MEMBERS          = "user:ann@example.com,domain:films.example"
      TRACKDROP_CONSOLE_HOSTS            = "trackdrop-console-123456789012.europe-west4.run.app,tracks.example.com"
      TRACKDROP_CONSOLE_MAX_BYTES_BILLED = "50000000000"
      TRACKDROP_CONSOLE_USD_PER_TIB      = "7.5"
    }
    error_message = "The console is told something else than it needs."
  }

  assert {
    condition = (
      google_cloud_run_v2_service.this.template[0].service_account == google_service_account.this.email &&
      alltrue([for grant in google_storage_bucket_iam_member.reads : grant.role == "roles/storage.objectViewer"]) &&
      toset([for grant in google_storage_bucket_iam_member.reads : grant.bucket]) == toset(values(var.buckets)) &&
      google_bigquery_dataset_iam_member.reads.role == "roles/bigquery.dataViewer" &&
      google_project_iam_member.asks.role == "roles/bigquery.jobUser"
    )
    error_message = "The console has no account of its own that reads the buckets and the tables."
  }

  assert {
    condition = (
      google_storage_bucket_iam_member.opens_uploads.role == "roles/storage.objectCreator" &&
      google_storage_bucket_iam_member.opens_uploads.bucket == var.buckets["uploads"]
    )
    error_message = "The console can't open an upload, or could replace a video or write elsewhere."
  }

  assert {
    condition     = output.url == "https://trackdrop-console-123456789012.europe-west4.run.app"
    error_message = "The console is elsewhere than it is said to be."
  }
}
