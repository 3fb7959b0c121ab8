"""What Terraform grants, as a file: terraform/rights/EXAMPLE.json.

    rights.py variables EXAMPLE/main.tf     writes a test of Terraform that makes, of nothing but made-up values, what the example makes
    rights.py grants VERBOSE                reads what `terraform test -json -verbose` says of that test, and writes the grants

The example's own arguments become the variables of the root module, because a mocked provider does not reach a module that configures its own.
The project is called PROJECT in the file. Custom roles are there with their permissions; predefined ones by their name.
"""

import json
import re
import sys

# A project id that nothing else contains.
PROJECT = "the-project-of-the-plan"
# What says on what a grant is, by the kind of the resource.
ON = {
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_bigquery_table_iam_member": ("table", "table_id"),
    "google_bigquery_dataset_iam_member": ("dataset", "dataset_id"),
    "google_project_iam_member": ("project", "project"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_cloud_run_v2_service_iam_member": ("service", "name"),
    "google_cloud_run_v2_worker_pool_iam_member": ("worker pool", "name"),
    "google_iap_web_cloud_run_service_iam_member": ("page", "cloud_run_service_name"),
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
}


def variables(example: str) -> str:
    """The test, with the arguments of the example's module."""
    text = open(example, encoding="utf-8").read()
    block = re.search(r'(?ms)^module "trackdrop" \{\n(.*?)^\}', text)[1]
    defaults = {"project": f'"{PROJECT}"'}
    for name, declared in re.findall(r'(?ms)^variable "(\w+)" \{\n(.*?)^\}', text):
        if value := re.search(r'default\s*=\s*(".*?")', declared):
            defaults[name] = value[1]
    block = re.sub(r"(?m)^\s*source\s*=.*\n", "", block)
    block = re.sub(r"\bvar\.(\w+)", lambda name: defaults[name[1]], block)
    # A push goes to a URL.
    mocked = 'mock_resource "google_cloud_run_v2_service" {\n    defaults = { uri = "https://service" }\n  }'
    return f'mock_provider "google" {{\n  {mocked}\n}}\n\nvariables {{\n{block}}}\n\nrun "rights" {{\n  command = apply\n}}\n'


def resources(module: dict):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def grants(verbose: str) -> str:
    """All grants of the state that the test made."""
    made = []
    for line in open(verbose, encoding="utf-8"):
        event = json.loads(line)
        if event["type"] == "test_state":
            made = list(resources(event["test_state"]["root_module"]))
        elif event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
            sys.exit(f"rights: {event['diagnostic']['summary']}: {event['diagnostic'].get('detail', '')}")
    if not made:
        sys.exit(f"rights: {verbose} has no state")
    # Names that the mocked provider made up, by what they stand for.
    names, roles = {}, {}
    for resource in made:
        values = resource["values"]
        if resource["type"] == "google_service_account":
            email = f"{values['account_id']}@PROJECT.iam.gserviceaccount.com"
            names[values["email"]] = email
            names[values["name"]] = f"projects/PROJECT/serviceAccounts/{email}"
        elif resource["type"] == "google_project_iam_custom_role":
            names[values["id"]] = f"projects/PROJECT/roles/{values['role_id']}"
            roles[f"projects/PROJECT/roles/{values['role_id']}"] = sorted(values["permissions"])
        elif resource["type"] == "google_storage_project_service_account":
            names[values["email_address"]] = "CLOUD-STORAGE-AGENT"
        elif resource["type"] == "google_project":
            names[values["number"]] = "NUMBER"

    def named(text: str) -> str:
        for made_up, name in names.items():
            text = text.replace(made_up, name)
        return text.replace(PROJECT, "PROJECT")

    listed = []
    for resource in made:
        if not resource["type"].endswith("_iam_member"):
            if "_iam_" in resource["type"] and resource["type"] != "google_project_iam_custom_role":
                if not resource["type"].startswith("google_iam_"):
                    sys.exit(f"rights: {resource['address']} grants in a way that this script does not read")
            continue
        kind, attribute = ON[resource["type"]]
        values = resource["values"]
        grant = {
            "address": resource["address"],
            "member": named(values["member"].split(":", 1)[1]),
            "role": named(values["role"]),
            "on": f"{kind} {named(values[attribute])}",
        }
        for condition in values.get("condition") or []:
            grant["condition"] = named(condition["expression"])
        listed.append(grant)
    listed.sort(key=lambda grant: (grant["member"], grant["on"], grant["role"], grant["address"]))
    used = {grant["role"] for grant in listed}
    roles = {role: permissions for role, permissions in sorted(roles.items()) if role in used}
    # One grant a line: a change of the rights is a change that can be read.
    lines = ",\n".join("    " + json.dumps(grant) for grant in listed)
    return f'{{\n  "roles": {json.dumps(roles, indent=4)},\n  "grants": [\n{lines}\n  ]\n}}\n'


print({"variables": variables, "grants": grants}[sys.argv[1]](sys.argv[2]), end="")
