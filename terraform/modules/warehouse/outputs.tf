output "dataset" {
  description = "project.dataset"
  value       = "${var.project}.${google_bigquery_dataset.this.dataset_id}"
}
