"""What Terraform expects of the services is what they do, and what it asks of Cloud Monitoring is well put.

    contract.py CHECKOUT PLANS    PLANS: what `terraform test -json -verbose` says of root.tftest.hcl and functions.tftest.hcl

From the plans: variables, arguments and probes of every container; the events of the scheduler; the lines and fields that log-based
metrics read; each query of dashboard, alerts and autoscaler. From the sources: the texts that the services read and write.
"""

import json
import pathlib
import re
import sys

import promql_parser

root, plans_file = pathlib.Path(sys.argv[1]), sys.argv[2]
faults: list[str] = []

# Metrics of Google's own that queries may use; a name that is misspelt would be a chart that stays empty.
GOOGLES = {
    "pubsub_googleapis_com:subscription_num_undelivered_messages",
    "pubsub_googleapis_com:subscription_oldest_unacked_message_age",
    "pubsub_googleapis_com:subscription_push_request_count",
    "pubsub_googleapis_com:topic_message_sizes_count",
    "run_googleapis_com:container_billable_instance_time",
    "run_googleapis_com:container_instance_count",
    "run_googleapis_com:request_count",
    "run_googleapis_com:request_latencies_bucket",
}

# What Google Cloud leaves at its default, with the reason.
UNSET = {
    "TRACKDROP_PUSH_KEYS_URL",  # Google signs the tokens there; a key server of one's own is for tests.
    "TRACKDROP_IAP_KEYS_URL",  # The same of Identity-Aware Proxy.
    # Push tokens guard the services; it is for a network where something else does.
    "TRACKDROP_GUARDED_BY",
    # What an instance of `track` has room for is right for its memory.
    "TRACKDROP_MODEL_SESSIONS", "TRACKDROP_MODEL_BYTES",
    # Google's public addresses, unless a network has others of its own.
    "TRACKDROP_STORAGE_ENDPOINT", "TRACKDROP_PUBSUB_ENDPOINT", "TRACKDROP_BIGQUERY_ENDPOINT",
}

resources: dict[str, dict[str, dict]] = {}


def keep(run: str, kind: str, address: str, values: dict | None) -> None:
    if values:
        resources.setdefault(kind, {})[f"{run}: {address}"] = values


def keep_module(run: str, module: dict) -> None:
    for resource in module.get("resources", []):
        keep(run, resource["type"], resource["address"], resource["values"])
    for child in module.get("child_modules", []):
        keep_module(run, child)


for line in open(plans_file, encoding="utf-8"):
    event = json.loads(line)
    if event["type"] == "test_plan":
        for change in event["test_plan"].get("resource_changes", []):
            keep(event["@testrun"], change["type"], change["address"], change["change"].get("after"))
    elif event["type"] == "test_state":
        keep_module(event["@testrun"], event["test_state"].get("root_module", {}))
for needed in ("google_monitoring_dashboard", "google_cloud_run_v2_service", "google_cloud_scheduler_job"):
    if not resources.get(needed):
        sys.exit(f"{plans_file} has no {needed}: is it the verbose output of both test files?")


def texts(*folders: str) -> str:
    """The sources of the services, without their unit tests."""
    paths = [path for folder in folders for path in sorted((root / folder).rglob("src/**/*.rs"))]
    return "\n".join(path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod ")[0] for path in paths)


services = texts("console", "functions", "shared/framework", "shared/cloud", "shared/flow", "shared/media", "shared/pipeline")


def said(text: str) -> bool:
    return f'"{text}"' in services


# --- Containers ---------------------------------------------------------------------------------------------------------

told: set[str] = set()
for kind in ("google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool"):
    for address, resource in resources.get(kind, {}).items():
        for container in resource["template"][0]["containers"]:
            if container["name"] != "function":
                continue
            # Not known in a plan, where a value depends on what is made.
            told |= {variable["name"] for variable in container.get("env") or []}
            for argument in container.get("args") or []:
                if not said(argument):
                    faults.append(f"{address}: no service takes the argument {argument}")
            for probe in ("startup_probe", "liveness_probe", "readiness_probe"):
                for settings in container.get(probe) or []:
                    if not said(settings["http_get"][0]["path"]):
                        faults.append(f"{address}: no service answers {settings['http_get'][0]['path']}")
for name in sorted(told):
    if not said(name):
        faults.append(f"no service reads the variable {name}")
# What an image brings with it.
for dockerfile in sorted(root.glob("functions/**/Dockerfile")):
    told |= set(re.findall(r"\b(TRACKDROP_[A-Z_]+)=", dockerfile.read_text(encoding="utf-8")))
# Every setting there is; a test of the framework writes it from the list that `--help` shows.
known = {setting["name"] for setting in json.loads((root / "shared/framework/settings.json").read_text(encoding="utf-8"))}
for name in sorted({name for name in known if name.startswith("TRACKDROP_")} - told - UNSET):
    faults.append(f"services read {name}, and Terraform never sets it")

# --- What the clock starts ------------------------------------------------------------------------------------------------

jobs = resources.get("google_cloud_scheduler_job", {})
for address, job in jobs.items():
    if not said(job["http_target"][0]["headers"]["ce-type"]):
        faults.append(f"{address}: no service knows the event {job['http_target'][0]['headers']['ce-type']}")

# --- Lines of the log -----------------------------------------------------------------------------------------------------

# The macro calls that log something, whole: tracing::info!(field, field = value, "message").
calls = re.findall(r"(?:info|warn|error)!\s*\(([^;]*?)\)\s*[;,}]", services)
# What the span of a delivery says stands on every line of that delivery.
spans = [span for span in re.findall(r"_span!\s*\(([^;]*?)\)\s*;", services) if '"delivery"' in span]
log_metrics = {}
for address, metric in resources["google_logging_metric"].items():
    log_metrics[re.sub(r"\W", "_", metric["name"])] = metric
    fields = set(re.findall(r"jsonPayload\.(\w+)", metric["filter"])) - {"message"}
    extractors = [metric.get("value_extractor") or "", *(metric.get("label_extractors") or {}).values()]
    fields |= {field for extractor in extractors for field in re.findall(r"jsonPayload\.(\w+)", extractor)}
    message = re.search(r'jsonPayload\.message=(?:"|~"\^)([^"]+)"', metric["filter"])
    begins = "" if message and f'="{message[1]}"' in metric["filter"] else "[^\"]*"
    if not message:
        faults.append(f"{address} counts lines whatever they say")
        continue
    lines = [call for call in calls if re.search(f'"{re.escape(message[1])}{begins}"', call)]
    if not lines:
        faults.append(f'{address}: no service logs "{message[1]}"')
    for field in sorted(fields):
        if lines and not all(re.search(rf"\b{field}\b", call) for call in [" ".join(lines), *lines]):
            if not any(re.search(rf"\b{field}\b", span) for span in spans):
                faults.append(f'{address}: "{message[1]}" is logged without `{field}`')

# --- Queries --------------------------------------------------------------------------------------------------------------

queries: dict[str, str] = {}
for address, policy in resources["google_monitoring_alert_policy"].items():
    for condition in policy["conditions"]:
        for asked in condition.get("condition_prometheus_query_language") or []:
            queries[address] = asked["query"]
for address, dashboard in resources["google_monitoring_dashboard"].items():
    for tile in json.loads(dashboard["dashboard_json"])["mosaicLayout"]["tiles"]:
        for number, data in enumerate(tile["widget"]["xyChart"]["dataSets"]):
            queries[f'{address}, {tile["widget"]["title"]} {number}'] = data["timeSeriesQuery"]["prometheusQuery"]
for address, version in resources.get("google_parameter_manager_parameter_version", {}).items():
    # YAML as Terraform writes it: one quoted line a query.
    for number, query in enumerate(re.findall(r'"query": (".*")$', version["parameter_data"], re.MULTILINE)):
        queries[f"{address}, {number}"] = json.loads(query)


def selectors(expression) -> list:
    found = []

    def visit(node) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        return True

    promql_parser.walk(expression, visit)
    return found


measured = set()
for where, query in queries.items():
    try:
        used = selectors(promql_parser.parse(query))
    except ValueError as error:
        faults.append(f"{where}: {error}: {query}")
        continue
    if not used:
        faults.append(f"{where} asks for no metric: {query}")
    for selector in used:
        name = selector.name
        if name.startswith("logging_googleapis_com:user_"):
            declared = re.sub(r"_(sum|count|bucket)$", "", name.removeprefix("logging_googleapis_com:user_"))
            measured.add(declared)
            if declared not in log_metrics:
                faults.append(f"{where}: no log-based metric is called {name}")
        elif name not in GOOGLES:
            faults.append(f"{where}: {name} is none of Google's metrics that are known here")
        # A metric of several resources is refused without one, and takes no pattern for it.
        if not any(m.name == "monitored_resource" and m.op == promql_parser.MatchOp.Equal for m in selector.matchers.matchers):
            faults.append(f"{where}: {name} names no monitored_resource")
for name in sorted(set(log_metrics) - measured):
    faults.append(f"nobody looks at the log-based metric {name}")

for fault in faults:
    print(fault)
print(f"{len(told)} variables, {len(jobs)} jobs, {len(log_metrics)} log-based metrics, {len(queries)} queries; {len(faults)} faults")
sys.exit(1 if faults else 0)
