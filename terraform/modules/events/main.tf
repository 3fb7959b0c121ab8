# Object finalized -> topic of its bucket -> one subscription a trigger file -> the function's service.
# Every value of a subscription comes from its trigger file: the local bus reads the same files.

locals {
  # Topics that trigger files name, and the two that the product itself needs.
  named_topics = toset(concat(
    ["requests", local.last_resort],
    [for trigger in var.triggers : trigger.on.topic if trigger.on.event == "message.published"],
    [for trigger in var.triggers : trigger.dead_letter if trigger.dead_letter != null],
  ))
  last_resort = "undeliverable"
  # Roles of the buckets whose objects start something.
  bucket_topics = toset([for trigger in var.triggers : trigger.on.bucket if trigger.on.event == "object.finalized"])
  # Where the deliveries of a trigger go whose attempts all failed. A trigger without a dead letter discards them on a laptop; here
  # they are parked, because Pub/Sub would deliver them again for as long as it keeps them.
  dead_letter_of     = { for key, trigger in var.triggers : key => coalesce(trigger.dead_letter, local.last_resort) }
  dead_letter_topics = toset(values(local.dead_letter_of))

  # What a filter can say of a name is how it begins. Of what a trigger ignores that is the patterns that end in their only `*`, after a `/`; the
  # service ignores the others. Pub/Sub looks at upper and lower case, which the patterns don't: the filter lets through more, never less.
  conditions = { for key, trigger in var.triggers : key => concat(
    trigger.on.prefix == "" ? [] : ["hasPrefix(attributes.objectId, ${jsonencode(trigger.on.prefix)})"],
    [for pattern in trigger.on.ignore : "NOT hasPrefix(attributes.objectId, ${jsonencode(trimsuffix(pattern, "*"))})"
    if can(regex("^[^*]*/\\*$", pattern))],
  ) }
  # As many as Pub/Sub takes: 256 bytes.
  filters = { for key, conditions in local.conditions : key => join(" AND ", [
    for number, condition in conditions : condition if length(join(" AND ", slice(conditions, 0, number + 1))) <= 256
  ]) }
}

resource "google_pubsub_topic" "bucket" {
  for_each = local.bucket_topics

  project      = var.project
  name         = "${var.name}-${each.key}"
  kms_key_name = var.kms_key
  labels       = var.labels

  message_storage_policy {
    allowed_persistence_regions = var.regions
  }
}

resource "google_pubsub_topic" "named" {
  for_each = local.named_topics

  project      = var.project
  name         = "${var.name}-${each.key}"
  kms_key_name = var.kms_key
  labels       = var.labels

  message_storage_policy {
    allowed_persistence_regions = var.regions
  }
}

# --- Storage publishes ------------------------------------------------------------------------------------------------

resource "google_pubsub_topic_iam_member" "storage_publishes" {
  for_each = google_pubsub_topic.bucket

  project = var.project
  topic   = each.value.name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${var.storage_agent}"
}

resource "google_storage_notification" "finalized" {
  for_each = local.bucket_topics

  bucket         = var.buckets[each.key]
  topic          = google_pubsub_topic.bucket[each.key].id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE"]

  # 403 until the agent may publish.
  depends_on = [google_pubsub_topic_iam_member.storage_publishes]
}

# --- One subscription a trigger file ----------------------------------------------------------------------------------

resource "google_pubsub_subscription" "trigger" {
  for_each = var.triggers

  project = var.project
  name    = "${var.name}-${each.key}"
  topic   = each.value.on.event == "object.finalized" ? google_pubsub_topic.bucket[each.value.on.bucket].id : google_pubsub_topic.named[each.value.on.topic].id
  labels  = merge(var.labels, { function = each.value.function })
  # Can't be changed later: a new one replaces the subscription, and its backlog is lost.
  filter                     = local.filters[each.key] == "" ? null : local.filters[each.key]
  ack_deadline_seconds       = each.value.deadline_s
  message_retention_duration = "${7 * 86400}s"

  # Never: by default a subscription that is idle for 31 days is deleted.
  expiration_policy {
    ttl = ""
  }

  retry_policy {
    minimum_backoff = "${each.value.retry.min_backoff_s}s"
    maximum_backoff = "${each.value.retry.max_backoff_s}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.named[local.dead_letter_of[each.key]].id
    max_delivery_attempts = each.value.retry.attempts
  }

  dynamic "push_config" {
    for_each = contains(var.pulled, each.value.function) ? [] : [lookup(var.endpoints, each.value.function, { url = "", audience = "" })]
    content {
      push_endpoint = push_config.value.url
      oidc_token {
        service_account_email = var.invoker
        audience              = push_config.value.audience
      }
    }
  }

  lifecycle {
    precondition {
      condition     = each.value.deadline_s >= 10 && each.value.deadline_s <= 600
      error_message = "triggers/${each.key}.yaml: deadline_s is ${each.value.deadline_s}; Pub/Sub takes 10 to 600 seconds."
    }
    precondition {
      condition     = each.value.retry.attempts >= 5 && each.value.retry.attempts <= 100
      error_message = "triggers/${each.key}.yaml: retry.attempts is ${each.value.retry.attempts}; Pub/Sub takes 5 to 100."
    }
    precondition {
      condition     = each.value.retry.max_backoff_s <= 600 && each.value.retry.min_backoff_s <= each.value.retry.max_backoff_s
      error_message = "triggers/${each.key}.yaml: backoff must be 0 <= min_backoff_s <= max_backoff_s <= 600."
    }
    precondition {
      condition     = contains(concat(keys(var.endpoints), var.pulled), each.value.function)
      error_message = "triggers/${each.key}.yaml: there is no service for the function \"${each.value.function}\"."
    }
    # A filter of more than 256 bytes is refused by Pub/Sub.
    precondition {
      condition     = length(each.value.on.prefix) <= 200
      error_message = "triggers/${each.key}.yaml: the prefix has ${length(each.value.on.prefix)} characters; a filter has room for 200."
    }
  }

  depends_on = [google_service_account_iam_member.push_tokens]
}

# Every dead letter topic keeps what arrives, for people (docs/runbook.md#dead-letters): a topic without a subscription would
# lose its messages.
resource "google_pubsub_subscription" "dead_letter" {
  for_each = local.dead_letter_topics

  project                    = var.project
  name                       = "${var.name}-${each.key}"
  topic                      = google_pubsub_topic.named[each.key].id
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "${31 * 86400}s"

  expiration_policy {
    ttl = ""
  }
}

# --- The rights of Pub/Sub's own account ------------------------------------------------------------------------------

# It signs the tokens of the pushes ...
resource "google_service_account_iam_member" "push_tokens" {
  service_account_id = var.invoker_id
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:${var.pubsub_agent}"
}

# ... puts on the dead letter topic the deliveries whose attempts all failed ...
resource "google_pubsub_topic_iam_member" "dead_letter_published" {
  for_each = local.dead_letter_topics

  project = var.project
  topic   = google_pubsub_topic.named[each.key].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${var.pubsub_agent}"
}

# ... and takes it off the subscription.
resource "google_pubsub_subscription_iam_member" "dead_letter_taken" {
  for_each = google_pubsub_subscription.trigger

  project      = var.project
  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${var.pubsub_agent}"
}

# --- The rights of the functions --------------------------------------------------------------------------------------

# Any function may be the one that ends a request and publishes the end.
resource "google_pubsub_topic_iam_member" "requests_published" {
  for_each = var.function_accounts

  project = var.project
  topic   = google_pubsub_topic.named["requests"].name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${each.value}"
}

# Nobody but Pub/Sub's agent publishes on a dead letter topic: a function that a hostile video took over could fail anyone's request.

# The sweeper publishes lost events again.
resource "google_pubsub_topic_iam_member" "told_again" {
  for_each = var.sweeper == null ? {} : google_pubsub_topic.bucket

  project = var.project
  topic   = each.value.name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${var.function_accounts[var.sweeper]}"
}

# Workers that pull.
resource "google_pubsub_subscription_iam_member" "pulled" {
  for_each = { for key, trigger in var.triggers : key => trigger.function if contains(var.pulled, trigger.function) }

  project      = var.project
  subscription = google_pubsub_subscription.trigger[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${var.function_accounts[each.value]}"
}

# --- What Cloud Scheduler starts --------------------------------------------------------------------------------------

resource "google_cloud_scheduler_job" "this" {
  for_each = var.schedules

  project          = var.project
  region           = var.region
  name             = "${var.name}-${each.key}"
  description      = each.value.description
  schedule         = "*/${each.value.minutes} * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "600s"

  retry_config {
    retry_count = 1
  }

  http_target {
    http_method = "POST"
    uri         = "${var.endpoints[each.value.function].url}/"
    body        = base64encode("{}")
    # Always the same id: a handler may be started twice, and it decides by the existing objects what is left to do.
    headers = {
      "Content-Type"   = "application/json"
      "ce-specversion" = "1.0"
      "ce-type"        = each.value.event
      "ce-source"      = "//cloudscheduler.googleapis.com/${var.name}-${each.key}"
      "ce-id"          = each.key
    }
    oidc_token {
      service_account_email = var.invoker
      audience              = var.endpoints[each.value.function].audience
    }
  }
}
