# Reads the trigger files: the same ones that the local bus reads.

locals {
  files = {
    for file in fileset(var.dir, "*.yaml") : trimsuffix(file, ".yaml") => yamldecode(file("${var.dir}/${file}"))
  }
  # In YAML 1.1, which Terraform reads, the word `on` is a truth value.
  triggers = { for key, trigger in local.files : key => merge(
    { dead_letter = null },
    { for field, value in trigger : field => value if field != "true" },
    { on = merge(
      try(trigger.on, trigger["true"]),
      # Nothing where the trigger's own list is right.
      { for field, value in { ignore = var.ignored_uploads } : field => value
      if var.ignored_uploads != null && try(trigger.on.bucket, trigger["true"].bucket, "") == "uploads" },
    ) },
  ) }
  fields = {
    trigger = ["concurrency", "dead_letter", "deadline_s", "function", "on", "retry"]
    on      = ["bucket", "event", "ignore", "prefix", "topic"]
    retry   = ["attempts", "max_backoff_s", "min_backoff_s"]
  }
}

# A misspelt field would have no effect, in silence. The local bus refuses it too.
resource "terraform_data" "checked" {
  for_each = local.triggers

  lifecycle {
    precondition {
      condition = length(setsubtract(keys(each.value), local.fields.trigger)) + length(
        setsubtract(keys(each.value.on), local.fields.on)) + length(
      setsubtract(keys(each.value.retry), local.fields.retry)) == 0
      error_message = "triggers/${each.key}.yaml has a field that nothing reads: ${join(", ", concat(
        tolist(setsubtract(keys(each.value), local.fields.trigger)),
        tolist(setsubtract(keys(each.value.on), local.fields.on)),
        tolist(setsubtract(keys(each.value.retry), local.fields.retry)),
      ))}. It may have ${join(", ", concat(local.fields.trigger, local.fields.on, local.fields.retry))}."
    }
    precondition {
      condition     = contains(["object.finalized", "message.published"], each.value.on.event)
      error_message = "triggers/${each.key}.yaml: on.event is \"${each.value.on.event}\"; it must be object.finalized or message.published."
    }
    precondition {
      condition     = each.value.on.event != "object.finalized" || contains(["uploads", "work", "results"], try(each.value.on.bucket, ""))
      error_message = "triggers/${each.key}.yaml: on.bucket is \"${try(each.value.on.bucket, "")}\"; it must be uploads, work or results."
    }
  }
}
