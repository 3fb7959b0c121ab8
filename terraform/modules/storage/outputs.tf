output "buckets" {
  description = "Name of each bucket by its role."
  value       = { for role, bucket in google_storage_bucket.this : role => bucket.name }
}
