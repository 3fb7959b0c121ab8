# Where images lie, who may build and deploy them without a key, and the canary that takes them to production.

resource "google_artifact_registry_repository" "images" {
  project                = var.project
  location               = var.region
  repository_id          = var.name
  format                 = "DOCKER"
  description            = "Images of the Trackdrop functions; deployed by digest."
  kms_key_name           = var.kms_key
  labels                 = var.labels
  cleanup_policy_dry_run = false

  vulnerability_scanning_config {
    enablement_config = "INHERITED"
  }

  # What may run, and what a rollback may want: KEEP wins over DELETE.
  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }
  cleanup_policies {
    id     = "keep-tested"
    action = "KEEP"
    condition {
      tag_state    = "TAGGED"
      tag_prefixes = ["tested-", "released-"]
      newer_than   = "${180 * 86400}s"
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      tag_state  = "ANY"
      older_than = "${30 * 86400}s"
    }
  }
}

# --- Who builds, who deploys ------------------------------------------------------------------------------------------

resource "google_service_account" "builder" {
  project      = var.project
  account_id   = "${var.name}-builder"
  display_name = "Trackdrop: builder"
  description  = "Builds, scans and pushes images. Can't deploy them."
}

resource "google_service_account" "deployer" {
  project      = var.project
  account_id   = "${var.name}-deployer"
  display_name = "Trackdrop: deployer"
  description  = "Deploys tested images, shifts traffic, runs the smoke test."
}

resource "google_artifact_registry_repository_iam_member" "builder_writes" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${google_service_account.builder.email}"
}

# Deploying moves the tag `released-...` and reads digests.
resource "google_artifact_registry_repository_iam_member" "deployer_tags" {
  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
  member     = "serviceAccount:${google_service_account.deployer.email}"
}

# Staging is a project of its own: it runs the same images, and its deployer marks what it tested.
resource "google_artifact_registry_repository_iam_member" "staging" {
  for_each = var.staging == null ? {} : {
    "serviceAccount:service-${var.staging.project_number}@serverless-robot-prod.iam.gserviceaccount.com" = "roles/artifactregistry.reader"
    "serviceAccount:${var.staging.deployer}"                                                             = "roles/artifactregistry.writer"
  }

  project    = var.project
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.repository_id
  role       = each.value
  member     = each.key
}

resource "google_project_iam_member" "builder" {
  for_each = toset(["roles/logging.logWriter", "roles/ondemandscanning.admin"])

  project = var.project
  role    = each.key
  member  = "serviceAccount:${google_service_account.builder.email}"
}

# The analysis of a canary reads alert policies: without alertPolicyViewer and serviceUsageConsumer it is denied.
resource "google_project_iam_member" "deployer" {
  for_each = toset(concat(
    [
      "roles/clouddeploy.jobRunner",
      "roles/clouddeploy.releaser",
      "roles/logging.logWriter",
      "roles/monitoring.alertPolicyViewer",
      "roles/serviceusage.serviceUsageConsumer",
    ],
    # The smoke test queries the rows that it caused.
    ["roles/bigquery.jobUser"],
    # Cloud Build runs a build as one account: with its trigger, the deployer fetches the source,
    # builds and scans as well.
    var.cloud_build_repository == null ? [] : ["roles/cloudbuild.readTokenAccessor", "roles/ondemandscanning.admin"],
  ))

  project = var.project
  role    = each.key
  member  = "serviceAccount:${google_service_account.deployer.email}"
}

# roles/clouddeploy.operator could also change pipelines; the automations advance and roll back only.
resource "google_project_iam_custom_role" "automation" {
  project     = var.project
  role_id     = "${replace(var.name, "-", "_")}_rollout_automation"
  title       = "Trackdrop: rollout automation"
  description = "Advances rollouts and rolls them back."
  permissions = [
    "clouddeploy.deliveryPipelines.get", "clouddeploy.releases.get", "clouddeploy.releases.list",
    "clouddeploy.rollouts.advance", "clouddeploy.rollouts.cancel", "clouddeploy.rollouts.create",
    "clouddeploy.rollouts.get", "clouddeploy.rollouts.ignoreJob", "clouddeploy.rollouts.list",
    "clouddeploy.rollouts.retryJob", "clouddeploy.rollouts.rollback", "clouddeploy.targets.get",
  ]
}

resource "google_project_iam_member" "automation" {
  project = var.project
  role    = google_project_iam_custom_role.automation.id
  member  = "serviceAccount:${google_service_account.deployer.email}"
}

resource "google_cloud_run_v2_service_iam_member" "deployer" {
  for_each = var.services

  project  = var.project
  location = var.region
  name     = each.value
  role     = "roles/run.developer"
  member   = "serviceAccount:${google_service_account.deployer.email}"
}

resource "google_cloud_run_v2_service_iam_member" "deployer_of_console" {
  count = var.console == null ? 0 : 1

  project  = var.project
  location = var.region
  name     = var.console
  role     = "roles/run.developer"
  member   = "serviceAccount:${google_service_account.deployer.email}"
}

resource "google_cloud_run_v2_worker_pool_iam_member" "deployer" {
  for_each = var.worker_pools

  project  = var.project
  location = each.key
  name     = each.value
  role     = "roles/run.developer"
  member   = "serviceAccount:${google_service_account.deployer.email}"
}

# Deploying means acting as the account that the service runs as; Cloud Deploy also acts as the deployer itself.
resource "google_service_account_iam_member" "acts_as" {
  for_each = merge(var.account_ids, { deployer = google_service_account.deployer.name })

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = "serviceAccount:${google_service_account.deployer.email}"
}

# The smoke test drops a clip and reads what came out.
resource "google_storage_bucket_iam_member" "smoke_uploads" {
  bucket = var.buckets["uploads"]
  role   = "roles/storage.objectUser"
  member = "serviceAccount:${google_service_account.deployer.email}"

  condition {
    title      = "smoke-test-only"
    expression = "resource.name.startsWith(\"projects/_/buckets/${var.buckets["uploads"]}/objects/smoke-test/\")"
  }
}

resource "google_storage_bucket_iam_member" "smoke_results" {
  bucket = var.buckets["results"]
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:${google_service_account.deployer.email}"
}

resource "google_bigquery_dataset_iam_member" "smoke_rows" {
  project    = var.project
  dataset_id = var.dataset
  role       = "roles/bigquery.dataViewer"
  member     = "serviceAccount:${google_service_account.deployer.email}"
}

# --- Keyless: GitHub's workflow proves who it is, no key is stored ------------------------------------------------------

resource "google_iam_workload_identity_pool" "github" {
  count = var.github == null ? 0 : 1

  project                   = var.project
  workload_identity_pool_id = "${var.name}-github"
  display_name              = "Trackdrop: GitHub Actions"

  lifecycle {
    # A deleted id is blocked for 30 days.
    prevent_destroy = true
  }
}

resource "google_iam_workload_identity_pool_provider" "github" {
  #checkov:skip=CKV_GCP_125:it wants the repository by name; the number in the condition can't be taken over
  count = var.github == null ? 0 : 1

  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_mapping = {
    "google.subject"           = "assertion.sub"
    "attribute.repository_id"  = "assertion.repository_id"
    "attribute.ref"            = "assertion.ref"
    "attribute.repository_ref" = "assertion.repository_id + \"@\" + assertion.ref"
  }
  # By number, because a deleted name can be taken by somebody else; and only from the branch that is reviewed.
  attribute_condition = "assertion.repository_id == \"${var.github.repository_id}\" && assertion.ref == \"refs/heads/${var.github.branch}\" && assertion.event_name != \"pull_request_target\""

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_service_account_iam_member" "github" {
  for_each = var.github == null ? {} : {
    builder  = google_service_account.builder.name
    deployer = google_service_account.deployer.name
  }

  service_account_id = each.value
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/attribute.repository_ref/${var.github.repository_id}@refs/heads/${var.github.branch}"
}

# --- Cloud Build, for those who build there -----------------------------------------------------------------------------

resource "google_cloudbuild_trigger" "main" {
  count = var.cloud_build_repository == null ? 0 : 1

  project         = var.project
  location        = var.region
  name            = "${var.name}-main"
  description     = "Tests, builds, scans and pushes; then staging and the canary."
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.deployer.id
  substitutions = {
    _REGION         = var.region
    _WORKER_REGIONS = join(" ", var.worker_regions)
  }

  repository_event_config {
    repository = var.cloud_build_repository
    push {
      branch = "^main$"
    }
  }
}
