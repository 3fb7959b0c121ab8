# The whole, as a user meets it: two variables are enough, and a bad one is refused with a message that says what to do.

mock_provider "google" {}

variables {
  project = "a-project-id-of-thirty-letters"
  region  = "europe-west4"
}

run "project_and_region_are_enough" {
  command = plan

  assert {
    condition = (
      output.upload_command == "gcloud storage cp VIDEO gs://a-project-id-of-thirty-letters-trackdrop-uploads/" &&
      startswith(output.query_url, "https://console.cloud.google.com/bigquery?project=a-project-id-of-thirty-letters") &&
      endswith(output.deploy_command, "scripts/delivery/deploy --project a-project-id-of-thirty-letters --region europe-west4") &&
      [output.next[0], output.next[1], output.next[2]] == [output.deploy_command, output.upload_command, output.query_url]
    )
    error_message = "The outputs do not say what to do next."
  }

  assert {
    condition     = output.console == null && !contains(keys(google_project_service.this), "iap.googleapis.com")
    error_message = "There is a console that nobody asked for."
  }

  assert {
    condition     = var.device == "cuda"
    error_message = "The GPU is not asked for: an instance without one would detect on its processor in silence."
  }

  assert {
    condition     = alltrue([for service in google_project_service.this : service.disable_on_destroy == false])
    error_message = "A teardown would turn off services that others use."
  }
}

run "the_clock_is_set" {
  command = plan

  variables {
    load_window_minutes = 2
    work_days           = 2
  }

  assert {
    condition     = output.schedules == { "trackdrop.load.window" = "*/2 * * * *", "trackdrop.requests.sweep" = "*/30 * * * *" }
    error_message = "Cloud Scheduler does not close windows, or does not start the search for stalled requests."
  }

  # A day before the chunks go.
  assert {
    condition     = local.sweep == { stalled_s = 7200, give_up_s = 28800 }
    error_message = "The sweeper fails a request only after its chunks are deleted."
  }
}

run "everything_on" {
  command = plan

  variables {
    track_delivery       = "pull"
    workers              = { "europe-west4" = { max = 30 }, "us-east4" = { min = 1, max = 10 } }
    load_window_minutes  = 2
    sweep_minutes        = 10
    kms_key              = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
    vpc                  = { network = "n", subnetwork = "s" }
    binary_authorization = true
    budget               = { billing_account = "012345-6789AB-CDEF01", amount = 500 }
    alert_emails         = ["oncall@example.com"]
    require_approval     = true
    models               = { big = "gs://acme-models/big.onnx" }
    limits               = "max_frames=5"
    console              = { members = ["user:ann@example.com", "domain:films.example"], hosts = ["tracks.example.com"] }
  }

  assert {
    condition     = output.console != null && contains(keys(google_project_service.this), "iap.googleapis.com")
    error_message = "The console is asked for, and there is none, or no proxy in front of it."
  }

  assert {
    condition     = toset(keys(google_kms_crypto_key_iam_member.agents)) == toset(["bigquery", "pubsub", "registry", "run", "storage"])
    error_message = "An agent may not use the key."
  }

  assert {
    condition = alltrue([for service in ["cloudkms", "binaryauthorization", "billingbudgets", "parametermanager"] :
      contains(keys(google_project_service.this), "${service}.googleapis.com")
    ])
    error_message = "An option is on whose service is not."
  }
}

# A rule that looks at two variables is judged only where the other one is good, so there are several runs.

run "bad_values_are_refused" {
  command = plan

  variables {
    project                = "Not_A_Project"
    workers                = { "europe-west4" = { min = 5, max = 2 } }
    gpu_max_instances      = 0
    gpu_shape              = { cpu = 2, memory_gib = 8 }
    annotate_max_instances = 0
    seconds_per_segment    = 0
    drain_target_s         = 1
    load_window_minutes    = 7
    sweep_minutes          = 7
    work_days              = 1
    dataset                = "with-dash"
    uploads_days           = 1
    alert_emails           = ["nobody"]
    runbook_url            = "docs/runbook.md"
    gpu_hour_price         = 0
    cloud_build_repository = "https://github.com/me/mine"
    device                 = "cpu"
    batch                  = 0
    video_engine           = "gpu"
    limits                 = "frames=5"
    otlp_endpoint          = "collector:4317"
    budget                 = { billing_account = "mine", amount = 5 }
    github                 = { repository_id = "owner/name" }
    staging                = { project_number = "staging", deployer = "me@example.com" }
    console                = { members = ["allUsers"], hosts = ["https://a"], max_bytes_billed = 1 }
  }

  expect_failures = [
    var.project, var.workers, var.gpu_max_instances, var.gpu_shape, var.annotate_max_instances,
    var.seconds_per_segment, var.drain_target_s, var.load_window_minutes, var.sweep_minutes, var.work_days, var.dataset,
    var.uploads_days, var.alert_emails, var.runbook_url, var.gpu_hour_price, var.cloud_build_repository, var.device, var.batch, var.video_engine, var.limits,
    var.otlp_endpoint, var.budget, var.github, var.staging, var.console,
  ]
}

run "a_region_without_gpus_is_refused_for_push" {
  command = plan

  variables {
    region = "europe-north1"
  }

  expect_failures = [var.region]
}

run "a_pull_without_workers_is_refused" {
  command = plan

  variables {
    track_delivery = "pull"
  }

  expect_failures = [var.track_delivery]
}

run "another_delivery_is_refused" {
  command = plan

  variables {
    track_delivery  = "shove"
    detections_days = 5
  }

  expect_failures = [var.track_delivery, var.detections_days]
}

run "a_key_of_another_region_is_refused" {
  command = plan

  variables {
    kms_key = "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k"
  }

  expect_failures = [var.kms_key]
}

# The examples, planned as they stand.

run "the_smallest_example_plans" {
  command = plan

  module {
    source = "./examples/smallest"
  }

  assert {
    condition     = length(output.next) == 4 && strcontains(output.next[1], "gs://a-project-id-of-thirty-letters-trackdrop-uploads/")
    error_message = "The example does not say what to do next."
  }
}

run "the_example_of_pull_workers_plans" {
  command = plan

  module {
    source = "./examples/pull-workers"
  }

  assert {
    condition     = endswith(output.next[0], " --worker-regions \"europe-west1 europe-west4\"")
    error_message = "The example does not say where the workers are deployed."
  }
}

run "the_production_example_plans" {
  command = plan

  module {
    source = "./examples/production"
  }

  variables {
    kms_key              = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
    billing_account      = "012345-6789AB-CDEF01"
    github_repository_id = "123456789"
  }

  assert {
    condition     = output.github_variables.GCP_PROJECT == "a-project-id-of-thirty-letters" && output.github_variables.GCP_WORKER_REGIONS == "us-east4 europe-west1 europe-west4"
    error_message = "The example does not print what its workflow needs."
  }

  assert {
    condition     = endswith(output.next[0], "--worker-regions \"us-east4 europe-west1 europe-west4\"") && module.trackdrop.schedules["trackdrop.load.window"] == "*/2 * * * *"
    error_message = "The example has no workers in several regions, or does not load by window."
  }
}

run "the_example_with_the_console_plans" {
  command = plan

  module {
    source = "./examples/console"
  }

  assert {
    condition     = startswith(output.console, "https://trackdrop-console-")
    error_message = "The example does not say where its console is."
  }
}
