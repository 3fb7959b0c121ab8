//! Defines every setting of a service, once: its name, the functions that read it, its meaning, its default, and how a
//! value is read.
//!
//! `--help`, the table in `docs/services.md` and `settings.json` come from [`ALL`]. Scripts compare Terraform's
//! settings with `settings.json`.

mod values;

use std::num::NonZeroUsize;
use trackdrop_pipeline::{models::MODELS_VARIABLE, trigger::IGNORE_VARIABLE};
pub use values::Values;

/// A setting whose values are read as `T`.
#[derive(Debug)]
pub struct Setting<T> {
    /// The documentation of the setting.
    pub about: About,
    /// Parses a value. None if the text is not valid.
    parse: fn(&str) -> Option<T>,
    must_be: &'static str,
}

/// The documentation of a setting.
#[derive(Debug)]
pub struct About {
    /// The variable.
    pub name: &'static str,
    /// The functions that read it. Empty if all do.
    pub functions: &'static [&'static str],
    /// What it holds.
    pub meaning: &'static str,
    /// The default; empty if there is none.
    pub default: &'static str,
    /// A link to a page with more information, in Markdown; empty if there is none.
    pub see: &'static str,
}

const fn text(
    functions: &'static [&'static str],
    name: &'static str,
    meaning: &'static str,
    default: &'static str,
    see: &'static str,
) -> Setting<String> {
    Setting {
        about: About { name, functions, meaning, default, see },
        parse: |text| Some(text.to_owned()),
        must_be: "",
    }
}

const fn read<T>(of: Setting<String>, parse: fn(&str) -> Option<T>, must_be: &'static str) -> Setting<T> {
    let Setting { about: About { name, functions, meaning, default, see }, .. } = of;
    Setting { about: About { name, functions, meaning, default, see }, parse, must_be }
}

const EACH: &[&str] = &[];

macro_rules! settings {
    ($($(#[$doc:meta])* $constant:ident: $type:ty = $value:expr;)*) => {
        $($(#[$doc])* pub static $constant: Setting<$type> = $value;)*

        /// Every setting, in the order in which they are listed.
        pub static ALL: &[&About] = &[$(&$constant.about),*];
    };
}

settings! {
    /// The port.
    PORT: u16 = read(text(EACH, "PORT", "the port", "8080", ""), port, "a port, 1 to 65535");
    /// The address.
    LISTEN: std::net::IpAddr = read(
        text(EACH, "TRACKDROP_LISTEN", "the IP address on which the service listens", "127.0.0.1; the images set 0.0.0.0", ""),
        |text| text.parse().ok(),
        "an IP address: 127.0.0.1 for this machine only, 0.0.0.0 for all that can reach it",
    );
    /// The bucket of uploads.
    BUCKET_UPLOADS: String = text(EACH, "TRACKDROP_BUCKET_UPLOADS", "name of the bucket into which videos are dropped", "", "");
    /// The bucket of work.
    BUCKET_WORK: String =
        text(EACH, "TRACKDROP_BUCKET_WORK", "name of the bucket through which the functions pass objects to each other", "", "");
    /// The bucket of results.
    BUCKET_RESULTS: String =
        text(EACH, "TRACKDROP_BUCKET_RESULTS", "name of the bucket of manifests, tracks and annotated videos", "", "");
    /// The topic of ends.
    TOPIC_REQUESTS: String = text(
        EACH,
        "TRACKDROP_TOPIC_REQUESTS",
        "`projects/P/topics/T`: the topic to which the ends of requests are published",
        "",
        "",
    );
    /// The topic of uploads.
    TOPIC_UPLOADS: String = text(
        EACH,
        "TRACKDROP_TOPIC_UPLOADS",
        "`projects/P/topics/T`: the topic of the notifications of `uploads`. The sweeper of `fail` and `dead-letters replay` publish events there \
         again; the others don't need it",
        "",
        "",
    );
    /// The topic of work.
    TOPIC_WORK: String =
        text(EACH, "TRACKDROP_TOPIC_WORK", "`projects/P/topics/T`: the same for the notifications of `work`", "", "");
    /// The dataset.
    DATASET: String = text(EACH, "TRACKDROP_DATASET", "`PROJECT.DATASET` of the tables", "", "");
    /// Where the dataset is.
    DATASET_LOCATION: String = text(
        EACH,
        "TRACKDROP_DATASET_LOCATION",
        "location of the dataset, such as `europe-west4` or `EU`",
        "BigQuery's answer, for which the account needs `bigquery.datasets.get`",
        "",
    );
    /// The project.
    PROJECT: String = text(
        EACH,
        "GOOGLE_CLOUD_PROJECT",
        "the project in which load jobs run and to which traces belong",
        "the dataset's project",
        "",
    );
    /// Events at a time.
    CONCURRENCY: usize = read(
        text(EACH, "TRACKDROP_CONCURRENCY", "events processed at the same time", "the trigger's `concurrency`", ""),
        |text| text.parse().ok().filter(|number| (1..=10_000).contains(number)),
        "a whole number, 1 to 10000",
    );
    /// Time of an event.
    DEADLINE_S: u64 = read(
        text(
            EACH,
            "TRACKDROP_DEADLINE_S",
            "seconds after which the service answers 503; at least 2 below the subscription's acknowledgement deadline. For a worker that pulls: \
             seconds without progress",
            "the trigger's less 10",
            "",
        ),
        |text| text.parse().ok(),
        "a whole number of seconds",
    );
    /// What tokens are for.
    PUSH_AUDIENCE: String = text(
        EACH,
        "TRACKDROP_PUSH_AUDIENCE",
        "set with `TRACKDROP_PUSH_SERVICE_ACCOUNT`: pushes must carry an OIDC token for this audience",
        "",
        "[who may call](#who-may-call)",
    );
    /// Whose tokens.
    PUSH_SERVICE_ACCOUNT: String =
        text(EACH, "TRACKDROP_PUSH_SERVICE_ACCOUNT", "the account whose OIDC tokens pushes must carry", "", "");
    /// Keys of tokens.
    PUSH_KEYS_URL: String = text(
        EACH,
        "TRACKDROP_PUSH_KEYS_URL",
        "address of the public keys with which these tokens are signed",
        "Google's",
        "",
    );
    /// Another guard.
    GUARDED_BY: String = text(
        EACH,
        "TRACKDROP_GUARDED_BY",
        "any text, such as `cloud-run-iam`, that says what checks callers if no tokens are required",
        "",
        "[who may call](#who-may-call)",
    );
    /// Names that are ignored.
    IGNORE: String = text(
        &["split", "fail"],
        IGNORE_VARIABLE,
        "names in `uploads` that are ignored, also by `trackdrop run`: patterns separated by commas, or `none`",
        "those of `triggers/split.yaml`",
        "[what an upload is](how-to/uploads.md)",
    );
    /// What is stored of an upload.
    SPOOL_BYTES: u64 = read(
        text(
            &["split"],
            "TRACKDROP_SPOOL_BYTES",
            "bytes of a file that are retained on disk while it is planned",
            "1073741824",
            "[how a source is read](video.md#how-a-source-is-read)",
        ),
        |text| text.parse().ok(),
        "a number of bytes",
    );
    /// Bounds on videos.
    LIMITS: String = text(
        &["split", "track", "annotate", "console"],
        "TRACKDROP_LIMITS",
        "bounds beyond which a video is refused, such as `max_bytes=5000000000,max_frames=100000`",
        "",
        "[all names](video.md#bounds)",
    );
    /// Where events are pulled from.
    SUBSCRIPTION: String = text(
        &["track"],
        "TRACKDROP_SUBSCRIPTION",
        "`projects/P/subscriptions/S`: the subscription from which `--pull` takes events",
        "",
        "[workers that pull](#workers-that-pull)",
    );
    /// The detector.
    MODEL: String = text(
        &["split", "track"],
        "TRACKDROP_MODEL",
        "the detector: a path, or `gs://BUCKET/OBJECT` with its card next to it; `split` needs it for `detect_every: auto` only",
        "",
        "",
    );
    /// Detectors and appearance networks that uploads may name.
    MODELS: String = text(
        &["split", "track", "console"],
        MODELS_VARIABLE,
        "models that uploads may name besides the default: `NAME=PATH`, `NAME=gs://BUCKET/OBJECT`, `gs://BUCKET/FOLDER/`, separated by commas",
        "none",
        "",
    );
    /// Detectors at a time.
    MODEL_SESSIONS: usize = read(
        text(&["track"], "TRACKDROP_MODEL_SESSIONS", "detectors and appearance networks that are held at a time", "4", ""),
        |text| text.parse().ok().filter(|number| *number > 0),
        "a whole number above 0",
    );
    /// Bytes of detectors.
    MODEL_BYTES: u64 = read(
        text(
            &["track"],
            "TRACKDROP_MODEL_BYTES",
            "largest number of bytes of a model's file, and of all models that are held; a model counts once per parallel inference",
            "4294967296",
            "",
        ),
        |text| text.parse().ok().filter(|number| *number > 0),
        "a whole number above 0",
    );
    /// What detects.
    DEVICE: String = text(
        &["track"],
        "TRACKDROP_DEVICE",
        "device on which objects are detected: `auto`, `cpu`, `cuda[:GPU]`, `tensorrt[:GPU]`; a named device that is missing is an error",
        "auto",
        "",
    );
    /// Pictures at a time.
    BATCH: NonZeroUsize = read(
        text(
            &["track"],
            "TRACKDROP_BATCH",
            "pictures per inference, for models with an open batch size. A TensorRT engine is for one batch size, so this must be the value of \
             `model build --batch`",
            "16 on a GPU, 1 on the processor",
            "",
        ),
        |text| text.parse().ok(),
        "a number of pictures above 0",
    );
    /// What was built of models.
    CACHE: String = text(
        &["split", "track"],
        "TRACKDROP_CACHE",
        "a folder for TensorRT engines and optimised graphs. If it is on a volume, later starts are faster",
        "",
        "",
    );
    /// ONNX Runtime.
    ORT_DYLIB_PATH: String = text(&["split", "track"], "ORT_DYLIB_PATH", "ONNX Runtime's library", "", "");
    /// What decodes and encodes.
    VIDEO_ENGINE: String = text(
        &["track", "annotate"],
        "TRACKDROP_VIDEO_ENGINE",
        "`software`, or `nvidia[:GPU]`: NVDEC in `track`, NVENC in `annotate`, if stream and GPU allow. Not yet run on a GPU",
        "software",
        "",
    );
    /// Whether rows wait for the scheduler.
    LOAD_WINDOW: String = text(
        EACH,
        "TRACKDROP_LOAD_WINDOW",
        "any text: the rows of merged and of ended requests wait for the scheduler",
        "",
        "[loading by window](#loading-by-window)",
    );
    /// What the proxy's tokens are for.
    IAP_AUDIENCE: String = text(
        &["console"],
        "TRACKDROP_IAP_AUDIENCE",
        "`/projects/NUMBER/locations/REGION/services/SERVICE`: the audience of Identity-Aware Proxy's tokens; required",
        "",
        "[the console](#the-console)",
    );
    /// Keys of the proxy.
    IAP_KEYS_URL: String = text(
        &["console"],
        "TRACKDROP_IAP_KEYS_URL",
        "address of the public keys with which Identity-Aware Proxy signs",
        "Google's",
        "",
    );
    /// Who may come.
    CONSOLE_MEMBERS: String = text(
        &["console"],
        "TRACKDROP_CONSOLE_MEMBERS",
        "who may use the console: `user:EMAIL`, `serviceAccount:EMAIL`, `domain:DOMAIN`, `group:EMAIL`, separated by commas; with a group the \
         proxy alone decides; required",
        "",
        "[the console](#the-console)",
    );
    /// Names of the console.
    CONSOLE_HOSTS: String = text(
        &["console"],
        "TRACKDROP_CONSOLE_HOSTS",
        "the host names of the console, separated by commas; required",
        "",
        "",
    );
    /// What a statement may cost.
    CONSOLE_MAX_BYTES_BILLED: u64 = read(
        text(
            &["console"],
            "TRACKDROP_CONSOLE_MAX_BYTES_BILLED",
            "bytes that a statement of the console may be billed for (`maximumBytesBilled`)",
            "100000000000",
            "",
        ),
        |text| text.parse().ok().filter(|bytes| *bytes > 0),
        "a number of bytes above 0",
    );
    /// Price of what is read.
    CONSOLE_USD_PER_TIB: f64 = read(
        text(
            &["console"],
            "TRACKDROP_CONSOLE_USD_PER_TIB",
            "BigQuery's price of a TiB in the dataset's region, from which the console computes the cost of a statement",
            "6.25",
            "",
        ),
        seconds,
        "a price of 0 or more",
    );
    /// When a request is stalled.
    STALLED_S: f64 = read(
        text(
            &["fail"],
            "TRACKDROP_STALLED_S",
            "seconds without activity after which the sweeper publishes a request's events again",
            "7200",
            "[requests that stall](#requests-that-stall)",
        ),
        seconds,
        "a number of seconds",
    );
    /// When a stalled request is failed.
    GIVE_UP_S: f64 = read(
        text(
            &["fail"],
            "TRACKDROP_GIVE_UP_S",
            "seconds without progress after a request's events were last published again; then the sweeper fails it",
            "172800",
            "[requests that stall](#requests-that-stall)",
        ),
        seconds,
        "a number of seconds",
    );
    /// Cloud Storage's address.
    STORAGE_ENDPOINT: String = text(
        EACH,
        "TRACKDROP_STORAGE_ENDPOINT",
        "base URL that replaces Cloud Storage's public one and is called with credentials (Private Service Connect); `https`, or an address of \
         this machine",
        "",
        "",
    );
    /// Pub/Sub's address.
    PUBSUB_ENDPOINT: String = text(EACH, "TRACKDROP_PUBSUB_ENDPOINT", "the same for Pub/Sub", "", "");
    /// BigQuery's address.
    BIGQUERY_ENDPOINT: String = text(EACH, "TRACKDROP_BIGQUERY_ENDPOINT", "the same for BigQuery", "", "");
    /// Cloud Storage's emulator.
    STORAGE_EMULATOR: String = text(
        EACH,
        "STORAGE_EMULATOR_HOST",
        "`host:port` or URL that is called without credentials instead of Cloud Storage",
        "",
        "",
    );
    /// Pub/Sub's emulator.
    PUBSUB_EMULATOR: String = text(EACH, "PUBSUB_EMULATOR_HOST", "the same for Pub/Sub", "", "");
    /// BigQuery's emulator.
    BIGQUERY_EMULATOR: String = text(EACH, "BIGQUERY_EMULATOR_HOST", "the same for BigQuery", "", "");
    /// The log.
    LOG: String =
        text(EACH, "RUST_LOG", "level of the log, which has one JSON object per line in Google's format", "info,ort=warn", "");
    /// A collector.
    COLLECTOR: String = text(
        EACH,
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "base URL of a collector: traces go to `/v1/traces`, metrics to `/v1/metrics` (OTLP, HTTP, protobuf)",
        "",
        "[traces, metrics, log](#traces-metrics-log)",
    );
    /// Google's collector.
    TELEMETRY_ENDPOINT: String = text(
        EACH,
        "TRACKDROP_TELEMETRY_ENDPOINT",
        "`https://telemetry.googleapis.com`: if no collector is named, traces go there with the service's own account \
         (`telemetry.tracesWriter`), for the project of `GOOGLE_CLOUD_PROJECT`; with neither there are only logs",
        "",
        "",
    );
    /// The service's name.
    SERVICE_NAME: String = text(
        EACH,
        "OTEL_SERVICE_NAME",
        "name of the service in traces",
        "`K_SERVICE`, which Cloud Run sets; or `trackdrop-FUNCTION`",
        "",
    );
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds: &f64| *seconds >= 0.0 && seconds.is_finite())
}

impl About {
    /// Whether a function reads it.
    pub fn is_of(&self, function: &str) -> bool {
        self.functions.is_empty() || self.functions.contains(&function)
    }

    /// The flag that sets it: `--bucket-work` of `TRACKDROP_BUCKET_WORK`, `--port` of `PORT`.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.trim_start_matches("TRACKDROP_").to_lowercase().replace('_', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, env, fs};

    const FUNCTIONS: [&str; 8] = ["split", "track", "merge", "load", "annotate", "join", "fail", "console"];

    /// Compares a file, or a part of it, with what the list says; `UPDATE_SETTINGS=1 cargo test -p trackdrop-framework` writes it again.
    fn is_written(path: &str, part: impl Fn(&str) -> String) {
        let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
        let found = fs::read_to_string(&path).unwrap_or_default();
        let expected = part(&found);
        if env::var_os("UPDATE_SETTINGS").is_some() {
            fs::write(&path, &expected).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap() == expected,
            "{path} is not what the list says: run with UPDATE_SETTINGS=1"
        );
    }

    #[test]
    fn the_page_of_services_has_the_table_of_all_settings() {
        let row = |about: &&About| {
            let About { name, functions, meaning, default, see } = about;
            let functions = if functions.is_empty() { "all".to_owned() } else { functions.join(", ") };
            let default = if default.is_empty() { String::new() } else { format!(" ({default})") };
            let see = if see.is_empty() { String::new() } else { format!("; {see}") };
            format!("| `{name}` | {functions} | {meaning}{default}{see} |\n")
        };
        let rows: String = ALL.iter().map(row).collect();
        const HEAD: &str = "| variable | functions | holds (default) |\n|---|---|---|\n";
        is_written("../../docs/services.md", |page| {
            let (before, rest) = page.split_once(HEAD).unwrap();
            let after = rest.find("\n\n").unwrap();
            format!("{before}{HEAD}{}{}", rows.trim_end(), &rest[after..])
        });
    }

    #[test]
    fn what_terraform_is_checked_against_is_the_list() {
        let list: Vec<_> =
            ALL.iter().map(|about| serde_json::json!({"name": about.name, "functions": about.functions})).collect();
        is_written("settings.json", |_| serde_json::to_string_pretty(&list).unwrap() + "\n");
    }

    #[test]
    fn a_setting_has_a_name_of_its_own_and_functions_that_exist() {
        let names: BTreeSet<_> = ALL.iter().map(|about| about.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().flat_map(|about| about.functions).all(|function| FUNCTIONS.contains(function)));
    }
}
