mock_provider "google" {}
run "x" {
  command = plan
  variables {
    project = "abcdefghijklmnopqrstuvwxyz-123"
    region  = "europe-west4"
  }
  assert {
    condition     = length(module.events.subscriptions) == 7
    error_message = "x"
  }
}
