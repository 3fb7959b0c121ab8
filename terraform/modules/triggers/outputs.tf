output "triggers" {
  description = "The trigger files by their name without ending."
  value       = local.triggers
  # Not before the fields are checked.
  depends_on = [terraform_data.checked]
}
