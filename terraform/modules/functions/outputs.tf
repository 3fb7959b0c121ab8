output "endpoints" {
  description = "Address of each function, and the audience that its token must have."
  value = {
    for function, service in google_cloud_run_v2_service.this :
    function => { url = service.uri, audience = local.audiences[function] }
  }
}

output "functions" {
  description = "Every function."
  value       = keys(local.shapes)
}

output "accounts" {
  description = "E-mail of each function's service account."
  value       = { for function, account in google_service_account.function : function => account.email }
}

output "account_ids" {
  description = "Resource name of each function's service account."
  value       = { for function, account in google_service_account.function : function => account.name }
}

output "invoker" {
  description = "The service account that calls the functions."
  value       = { email = google_service_account.invoker.email, id = google_service_account.invoker.name }
}

output "services" {
  description = "Name of each function's service."
  value       = { for function, service in google_cloud_run_v2_service.this : function => service.name }
}

output "worker_pools" {
  description = "Name of the worker pool in each region."
  value       = { for region, pool in google_cloud_run_v2_worker_pool.track : region => pool.name }
}

output "workers_wanted" {
  description = "Workers that the autoscaler wants, in PromQL, by what waits and by how old the oldest is; empty where none pull."
  value       = { for by, query in local.workers_wanted : by => query if length(local.workers) > 0 }
}

output "environment_names" {
  description = "Names of the variables that each function gets."
  value       = { for function, variables in local.environment : function => keys(variables) }
}
