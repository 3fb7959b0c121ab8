# Every trigger file of the repository, through the modules that give its fields their effects. Then one trigger with a value
# of its own in every field: each field is found where it has its effect.

mock_provider "google" {}

variables {
  project          = "a-project-id-of-thirty-letters"
  region           = "europe-west4"
  regions          = ["europe-west4"]
  name             = "trackdrop"
  buckets          = { uploads = "b-uploads", work = "b-work", results = "b-results" }
  invoker          = "invoker@example.com"
  invoker_id       = "projects/p/serviceAccounts/invoker@example.com"
  pubsub_agent     = "pubsub@example.com"
  storage_agent    = "storage@example.com"
  kms_key          = null
  labels           = {}
  schedules        = {}
  sweeper          = null
  pulled           = []
  functions        = ["split", "track", "merge", "load", "annotate", "join", "fail"]
  function_account = "function@example.com"
}

run "files" {
  module {
    source = "./modules/triggers"
  }

  variables {
    dir = "../triggers"
  }

  assert {
    condition     = toset([for trigger in output.triggers : trigger.function]) == toset(var.functions)
    error_message = "The trigger files do not start the seven functions."
  }
}

run "users_say_what_is_no_video" {
  module {
    source = "./modules/triggers"
  }

  variables {
    dir             = "../triggers"
    ignored_uploads = ["processed/*"]
  }

  assert {
    condition     = join(",", output.triggers["split"].on.ignore) == "processed/*" && !can(output.triggers["track"].on.ignore)
    error_message = "ignored_uploads is not what the trigger of uploads ignores."
  }
}

run "every_file_has_its_subscription" {
  module {
    source = "./modules/events"
  }

  variables {
    triggers          = run.files.triggers
    endpoints         = { for function in var.functions : function => { url = "https://${function}.example", audience = "https://a-${function}" } }
    function_accounts = { for function in var.functions : function => "${function}@example.com" }
  }

  assert {
    condition     = toset(keys(google_pubsub_subscription.trigger)) == toset([for file in fileset("../triggers", "*.yaml") : trimsuffix(file, ".yaml")])
    error_message = "A trigger file has no subscription."
  }

  assert {
    condition = alltrue([for key, subscription in google_pubsub_subscription.trigger :
      subscription.dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.named[coalesce(run.files.triggers[key].dead_letter, "undeliverable")].id
    ])
    error_message = "A subscription has no dead letter, or not the one of its file."
  }

  assert {
    condition = (
      google_pubsub_subscription.trigger["split"].filter == "NOT hasPrefix(attributes.objectId, \"gcloud/tmp/parallel_composite_uploads/\") AND NOT hasPrefix(attributes.objectId, \"gsutil/tmp/parallel_composite_uploads/\") AND NOT hasPrefix(attributes.objectId, \"__MACOSX/\")" &&
      google_pubsub_subscription.trigger["track"].filter == "hasPrefix(attributes.objectId, \"split_chunks/\")"
    )
    error_message = "Parts of one upload start split."
  }

  assert {
    condition     = toset(keys(google_pubsub_subscription.dead_letter)) == toset(["dead-letters", "undeliverable"])
    error_message = "A dead letter topic without a subscription loses its messages."
  }

  assert {
    condition = alltrue([for key, subscription in google_pubsub_subscription.trigger :
      google_pubsub_subscription_iam_member.dead_letter_taken[key].role == "roles/pubsub.subscriber" &&
      google_pubsub_subscription_iam_member.dead_letter_taken[key].subscription == subscription.name &&
      google_pubsub_subscription_iam_member.dead_letter_taken[key].member == "serviceAccount:pubsub@example.com"
    ])
    error_message = "Pub/Sub's agent may not take a dead letter off its subscription."
  }

  assert {
    condition = alltrue([for topic in ["dead-letters", "undeliverable"] :
      google_pubsub_topic_iam_member.dead_letter_published[topic].role == "roles/pubsub.publisher" &&
      google_pubsub_topic_iam_member.dead_letter_published[topic].member == "serviceAccount:pubsub@example.com"
    ])
    error_message = "Pub/Sub's agent may not publish a dead letter."
  }

  assert {
    condition     = google_service_account_iam_member.push_tokens.role == "roles/iam.serviceAccountTokenCreator"
    error_message = "Pub/Sub's agent may not sign the tokens of its pushes."
  }

  assert {
    condition = alltrue([for key, subscription in google_pubsub_subscription.trigger :
      subscription.push_config[0].oidc_token[0].service_account_email == "invoker@example.com" &&
      subscription.push_config[0].oidc_token[0].audience == "https://a-${run.files.triggers[key].function}"
    ])
    error_message = "A push carries no token, or one for another service."
  }

  assert {
    condition = alltrue([for subscription in concat(values(google_pubsub_subscription.trigger), values(google_pubsub_subscription.dead_letter)) :
      subscription.expiration_policy[0].ttl == ""
    ])
    error_message = "A subscription expires when it is idle."
  }

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.trigger : subscription.message_retention_duration == "604800s"])
    error_message = "A subscription does not keep its messages for a week."
  }

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.trigger : subscription.ack_deadline_seconds == 600])
    error_message = "A subscription of the repository does not wait 600 s."
  }

  assert {
    condition = alltrue([for bucket in ["uploads", "work"] :
      google_storage_notification.finalized[bucket].bucket == "b-${bucket}" &&
      google_storage_notification.finalized[bucket].topic == google_pubsub_topic.bucket[bucket].id &&
      google_storage_notification.finalized[bucket].event_types == toset(["OBJECT_FINALIZE"]) &&
      google_pubsub_topic_iam_member.storage_publishes[bucket].role == "roles/pubsub.publisher" &&
      google_pubsub_topic_iam_member.storage_publishes[bucket].member == "serviceAccount:storage@example.com"
    ])
    error_message = "Finalized objects do not reach their topic."
  }

  assert {
    condition     = toset(keys(google_pubsub_topic_iam_member.requests_published)) == toset(var.functions)
    error_message = "A function may not publish the end of a request."
  }
}

run "a_pulled_function_is_not_pushed" {
  command = plan

  module {
    source = "./modules/events"
  }

  variables {
    triggers          = run.files.triggers
    pulled            = ["track"]
    endpoints         = { for function in setsubtract(var.functions, ["track"]) : function => { url = "https://${function}.example", audience = "a" } }
    function_accounts = { for function in var.functions : function => "${function}@example.com" }
  }

  assert {
    condition = (
      length(google_pubsub_subscription.trigger["track"].push_config) == 0 &&
      length(google_pubsub_subscription.trigger["merge"].push_config) == 1 &&
      google_pubsub_subscription_iam_member.pulled["track"].role == "roles/pubsub.subscriber" &&
      google_pubsub_subscription_iam_member.pulled["track"].member == "serviceAccount:track@example.com" &&
      length(google_pubsub_subscription_iam_member.pulled) == 1
    )
    error_message = "Pulled deliveries are pushed too, or the workers may not pull."
  }
}

run "the_clock_starts_what_is_scheduled" {
  command = plan

  module {
    source = "./modules/events"
  }

  variables {
    triggers          = run.files.triggers
    endpoints         = { for function in var.functions : function => { url = "https://${function}.example", audience = "https://a-${function}" } }
    function_accounts = { for function in var.functions : function => "${function}@example.com" }
    sweeper           = "fail"
    schedules = {
      load-window = { function = "load", minutes = 2, event = "trackdrop.load.window", description = "x" }
    }
  }

  assert {
    condition = (
      google_cloud_scheduler_job.this["load-window"].schedule == "*/2 * * * *" &&
      google_cloud_scheduler_job.this["load-window"].http_target[0].uri == "https://load.example/" &&
      google_cloud_scheduler_job.this["load-window"].http_target[0].http_method == "POST" &&
      google_cloud_scheduler_job.this["load-window"].http_target[0].headers == tomap({
        "Content-Type"   = "application/json"
        "ce-specversion" = "1.0"
        "ce-type"        = "trackdrop.load.window"
        "ce-source"      = "//cloudscheduler.googleapis.com/trackdrop-load-window"
        "ce-id"          = "load-window"
      }) &&
      google_cloud_scheduler_job.this["load-window"].http_target[0].oidc_token[0].service_account_email == "invoker@example.com" &&
      google_cloud_scheduler_job.this["load-window"].http_target[0].oidc_token[0].audience == "https://a-load"
    )
    error_message = "A scheduled event is not posted every two minutes as a CloudEvent with a token."
  }

  assert {
    condition = (
      toset(keys(google_pubsub_topic_iam_member.told_again)) == toset(["uploads", "work"]) &&
      alltrue([for member in google_pubsub_topic_iam_member.told_again : member.role == "roles/pubsub.publisher" && member.member == "serviceAccount:fail@example.com"])
    )
    error_message = "The sweeper may not publish an event again."
  }
}

# --- A field, an effect ---------------------------------------------------------------------------------------------------

run "each_field_has_its_effect_on_the_subscription" {
  module {
    source = "./modules/events"
  }

  variables {
    triggers = {
      of-object = {
        function = "alpha"
        on = {
          event  = "object.finalized", bucket = "results", prefix = "some \"folder\"/",
          ignore = ["*.srt", "tmp/*", "*/tmp/*", "a*b/*", "${join("", [for _ in range(20) : "long-name-"])}/*", "late/*"]
        }
        concurrency = 7
        deadline_s  = 321
        retry       = { attempts = 9, min_backoff_s = 11, max_backoff_s = 222 }
        dead_letter = "graveyard"
      }
      of-message = {
        function    = "beta"
        on          = { event = "message.published", topic = "gossip" }
        concurrency = 1
        deadline_s  = 60
        retry       = { attempts = 5, min_backoff_s = 0, max_backoff_s = 1 }
      }
    }
    endpoints = {
      alpha = { url = "https://alpha.example", audience = "a" }
      beta  = { url = "https://beta.example", audience = "b" }
    }
    function_accounts = { alpha = "alpha@example.com", beta = "beta@example.com" }
  }

  assert {
    condition     = google_pubsub_subscription.trigger["of-object"].push_config[0].push_endpoint == "https://alpha.example"
    error_message = "`function` does not choose who is called."
  }

  assert {
    condition = (
      google_pubsub_subscription.trigger["of-object"].topic == google_pubsub_topic.bucket["results"].id &&
      google_pubsub_subscription.trigger["of-message"].topic == google_pubsub_topic.named["gossip"].id &&
      keys(google_storage_notification.finalized) == ["results"]
    )
    error_message = "`on.event`, `on.bucket` or `on.topic` does not choose the topic."
  }

  assert {
    condition = (
      startswith(google_pubsub_subscription.trigger["of-object"].filter, "hasPrefix(attributes.objectId, \"some \\\"folder\\\"/\")") &&
      google_pubsub_subscription.trigger["of-message"].filter == null
    )
    error_message = "`on.prefix` is not the filter."
  }

  assert {
    condition     = endswith(google_pubsub_subscription.trigger["of-object"].filter, " AND NOT hasPrefix(attributes.objectId, \"tmp/\")")
    error_message = "What `on.ignore` says of the beginning of a name is not in the filter, or more is than Pub/Sub takes."
  }

  assert {
    condition     = google_pubsub_subscription.trigger["of-object"].ack_deadline_seconds == 321
    error_message = "`deadline_s` is not the ack deadline."
  }

  assert {
    condition     = google_pubsub_subscription.trigger["of-object"].dead_letter_policy[0].max_delivery_attempts == 9
    error_message = "`retry.attempts` is not the number of deliveries."
  }

  assert {
    condition     = google_pubsub_subscription.trigger["of-object"].retry_policy[0].minimum_backoff == "11s"
    error_message = "`retry.min_backoff_s` is not the shortest wait."
  }

  assert {
    condition     = google_pubsub_subscription.trigger["of-object"].retry_policy[0].maximum_backoff == "222s"
    error_message = "`retry.max_backoff_s` is not the longest wait."
  }

  assert {
    condition = (
      google_pubsub_subscription.trigger["of-object"].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.named["graveyard"].id &&
      google_pubsub_subscription.trigger["of-message"].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.named["undeliverable"].id
    )
    error_message = "`dead_letter` is not where given-up deliveries go."
  }
}

run "values_that_pubsub_refuses_are_named" {
  command = plan

  module {
    source = "./modules/events"
  }

  variables {
    triggers = { for key, values in {
      slow    = { function = "alpha", deadline_s = 601, attempts = 5, max_backoff_s = 2 }
      hasty   = { function = "alpha", deadline_s = 600, attempts = 3, max_backoff_s = 2 }
      patient = { function = "alpha", deadline_s = 600, attempts = 5, max_backoff_s = 601 }
      lost    = { function = "nobody", deadline_s = 600, attempts = 5, max_backoff_s = 2 }
      } : key => {
      function    = values.function
      on          = { event = "object.finalized", bucket = "work" }
      concurrency = 1
      deadline_s  = values.deadline_s
      retry       = { attempts = values.attempts, min_backoff_s = 1, max_backoff_s = values.max_backoff_s }
    } }
    endpoints         = { alpha = { url = "https://alpha.example", audience = "a" } }
    function_accounts = { alpha = "alpha@example.com", nobody = "nobody@example.com" }
  }

  expect_failures = [
    google_pubsub_subscription.trigger["slow"],
    google_pubsub_subscription.trigger["hasty"],
    google_pubsub_subscription.trigger["patient"],
    google_pubsub_subscription.trigger["lost"],
  ]
}

run "a_misspelt_field_is_named" {
  command = plan

  module {
    source = "./modules/triggers"
  }

  variables {
    dir = "./tests/triggers/misspelt"
  }

  expect_failures = [terraform_data.checked["misspelt"]]
}
