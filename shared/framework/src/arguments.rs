//! The command line of a service: each variable of the environment that it reads is a flag as well.

use std::{collections::BTreeMap, env, ffi::OsString, fmt::Write, io, os::unix::process::CommandExt, process::Command};

/// What a service reads, by function (`*`: all of them): `VARIABLE FUNCTIONS MEANING`. `docs/services.md` says more.
const SETTINGS: &str = "\
PORT                           *                    the port (8080)
TRACKDROP_LISTEN               *                    the address that is listened on (127.0.0.1)
TRACKDROP_BUCKET_UPLOADS       *                    the bucket that videos are dropped into
TRACKDROP_BUCKET_WORK          *                    the bucket that functions hand objects to each other in
TRACKDROP_BUCKET_RESULTS       *                    the bucket of manifests, tracks and annotated videos
TRACKDROP_TOPIC_REQUESTS       *                    projects/P/topics/T that the ends of requests are published on
TRACKDROP_TOPIC_UPLOADS        *                    projects/P/topics/T of the uploads' notifications, for the sweeper
TRACKDROP_TOPIC_WORK           *                    projects/P/topics/T of the work bucket's notifications, for the sweeper
TRACKDROP_DATASET              *                    PROJECT.DATASET of the tables
TRACKDROP_DATASET_LOCATION     *                    where the dataset lies (BigQuery is asked, which takes the right bigquery.datasets.get)
GOOGLE_CLOUD_PROJECT           *                    where load jobs run and what traces are named by (the dataset's project)
TRACKDROP_CONCURRENCY          *                    events in work at the same time (what the trigger says)
TRACKDROP_DEADLINE_S           *                    seconds after which an event is handed back (the trigger's less 10)
TRACKDROP_PUSH_AUDIENCE        *                    what the OIDC tokens of pushes must be for
TRACKDROP_PUSH_SERVICE_ACCOUNT *                    whose OIDC tokens pushes must carry
TRACKDROP_PUSH_KEYS_URL        *                    the public keys of these tokens (Google's)
TRACKDROP_GUARDED_BY           *                    what checks callers where no tokens are asked for, such as cloud-run-iam
TRACKDROP_IGNORE               split,fail           patterns of names that are no video, by commas, or none (the trigger's)
TRACKDROP_SPOOL_BYTES          split                bytes of a file that are kept while it is planned
TRACKDROP_LIMITS               split,track,annotate what of a video is refused, as max_bytes=N,max_frames=N
TRACKDROP_SUBSCRIPTION         track                projects/P/subscriptions/S that --pull takes events from
TRACKDROP_MODEL                track                the detector: a path, or gs://BUCKET/OBJECT
TRACKDROP_MODELS               split,track          detectors that uploads may ask for: NAME=PLACE and gs://BUCKET/FOLDER/, by commas
TRACKDROP_MODEL_SESSIONS       track                detectors that are loaded at a time (4)
TRACKDROP_MODEL_BYTES          track                bytes of a model file at most, and of all that are loaded (4294967296)
TRACKDROP_DEVICE               track                auto, cpu, cuda[:GPU], tensorrt[:GPU]
TRACKDROP_BATCH                track                pictures that are detected at a time
TRACKDROP_CACHE                track                a folder for engines and optimised graphs
ORT_DYLIB_PATH                 track                ONNX Runtime's library
TRACKDROP_VIDEO_ENGINE         track,annotate       software, nvidia[:GPU]
TRACKDROP_LOAD_WINDOW          load                 set and not empty: merged requests wait for the clock
TRACKDROP_STILL_S              fail                 seconds after which a request is set going again
TRACKDROP_GIVE_UP_S            fail                 seconds after which a request that was told again in vain is failed
TRACKDROP_STORAGE_ENDPOINT     *                    URL that is called with credentials instead of Cloud Storage's own
TRACKDROP_PUBSUB_ENDPOINT      *                    URL that is called with credentials instead of Pub/Sub's own
TRACKDROP_BIGQUERY_ENDPOINT    *                    URL that is called with credentials instead of BigQuery's own
STORAGE_EMULATOR_HOST          *                    host:port or URL that is called instead of Cloud Storage
PUBSUB_EMULATOR_HOST           *                    host:port or URL that is called instead of Pub/Sub
BIGQUERY_EMULATOR_HOST         *                    host:port or URL that is called instead of BigQuery
RUST_LOG                       *                    what is logged (info,ort=warn)
OTEL_EXPORTER_OTLP_ENDPOINT    *                    base URL of a collector of traces and metrics
TRACKDROP_TELEMETRY_ENDPOINT   *                    URL of Google's Telemetry API, for traces where no collector is named
OTEL_SERVICE_NAME              *                    what the service is called in traces
";

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// To say what there is.
    Help,
    /// To run, with these variables.
    Run { variables: BTreeMap<&'static str, String>, is_pulling: bool },
}

/// A command line that can't be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ArgumentError {
    #[error("the argument {argument:?} is not known; there are:\n{known}")]
    Unknown { argument: String, known: String },
    #[error("{0} has no value: write {0}=VALUE")]
    NoValue(String),
}

/// How a service was asked to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Its events are pushed to it.
    Pushed,
    /// It pulls them.
    Pulling,
    /// Not at all: all is said.
    Ended,
}

/// Follows the command line of this process. Where it sets variables, the process becomes one whose environment holds them, so that whatever
/// reads the environment finds them there: a process can't change its own while other threads may read it.
///
/// # Errors
/// What to tell whoever called.
pub(crate) fn follow(function: &str, can_pull: bool) -> Result<Start, String> {
    let known = Known { function, can_pull };
    match known.parse(env::args_os().skip(1)).map_err(|error| error.to_string())? {
        Asked::Help => {
            // Whoever reads no further, as `head` does, has what they wanted.
            let _ = io::Write::write_all(&mut io::stdout(), known.help().as_bytes());
            Ok(Start::Ended)
        }
        Asked::Run { variables, is_pulling } if variables.is_empty() => {
            Ok(if is_pulling { Start::Pulling } else { Start::Pushed })
        }
        Asked::Run { variables, is_pulling } => {
            let program = env::current_exe().map_err(|error| format!("this program can't be found: {error}"))?;
            let error = Command::new(&program).args(is_pulling.then_some(PULL)).envs(variables).exec();
            Err(format!("{} can't be started with these arguments: {error}", program.display()))
        }
    }
}

const PULL: &str = "--pull";

/// The arguments of one function.
struct Known<'a> {
    function: &'a str,
    can_pull: bool,
}

impl Known<'_> {
    /// Variable and meaning.
    fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        SETTINGS.lines().filter_map(move |line| {
            let (variable, rest) = line.split_once(' ')?;
            let (functions, meaning) = rest.trim_start().split_once(' ')?;
            let is_read = functions == "*" || functions.split(',').any(|function| function == self.function);
            is_read.then(|| (variable, meaning.trim_start()))
        })
    }

    fn parse(&self, arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, ArgumentError> {
        let (mut variables, mut is_pulling) = (BTreeMap::new(), false);
        // What is not text is no flag that is known, and a value that nobody takes.
        let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()).peekable();
        while let Some(argument) = arguments.next() {
            match &*argument {
                "--help" | "-h" => return Ok(Asked::Help),
                PULL if self.can_pull => is_pulling = true,
                _ => {
                    let (flag, value) = match argument.split_once('=') {
                        Some((flag, value)) => (flag, Some(value.to_owned())),
                        None => (&*argument, None),
                    };
                    let Some((variable, _)) = self.settings().find(|(variable, _)| flag_of(variable) == flag) else {
                        return Err(ArgumentError::Unknown { argument, known: self.list() });
                    };
                    let value = value.or_else(|| arguments.next_if(|next| !next.starts_with("--")));
                    let value = value.ok_or_else(|| ArgumentError::NoValue(flag.to_owned()))?;
                    variables.insert(variable, value);
                }
            }
        }
        Ok(Asked::Run { variables, is_pulling })
    }

    fn help(&self) -> String {
        let function = self.function;
        format!(
            "trackdrop-{function}: the function {function} as a service\n\nEach setting is a variable of the environment, or a flag as --name VALUE \
             or --name=VALUE, which wins.\n\n{}",
            self.list()
        )
    }

    /// A line each.
    fn list(&self) -> String {
        let mut list = String::new();
        if self.can_pull {
            let _ = writeln!(list, "  {PULL:<30}  take events out of the subscription; without it they are pushed");
        }
        for (variable, meaning) in self.settings() {
            let _ = writeln!(list, "  {:<30}  {meaning} [{variable}]", flag_of(variable));
        }
        let _ = writeln!(list, "  {:<30}  say this", "--help");
        list
    }
}

/// `--bucket-work` of `TRACKDROP_BUCKET_WORK`, `--port` of `PORT`.
fn flag_of(variable: &str) -> String {
    format!("--{}", variable.trim_start_matches("TRACKDROP_").to_lowercase().replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Known<'_> = Known { function: "load", can_pull: false };
    const TRACK: Known<'_> = Known { function: "track", can_pull: true };

    fn parse(known: &Known<'_>, arguments: &[&str]) -> Result<Asked, ArgumentError> {
        known.parse(arguments.iter().map(OsString::from))
    }

    fn run(variables: &[(&'static str, &str)], is_pulling: bool) -> Asked {
        let variables = variables.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        Asked::Run { variables, is_pulling }
    }

    #[test]
    fn a_flag_is_the_variable_of_its_name_and_the_last_one_holds() {
        assert_eq!(parse(&LOAD, &[]), Ok(run(&[], false)));
        let arguments = ["--port", "9000", "--bucket-work=acme=work", "--port=9001", "--google-cloud-project", "acme"];
        let expected = [("PORT", "9001"), ("TRACKDROP_BUCKET_WORK", "acme=work"), ("GOOGLE_CLOUD_PROJECT", "acme")];
        assert_eq!(parse(&LOAD, &arguments), Ok(run(&expected, false)));
        assert_eq!(parse(&LOAD, &["--load-window="]), Ok(run(&[("TRACKDROP_LOAD_WINDOW", "")], false)));
        assert_eq!(parse(&LOAD, &["--port", "1", "--help"]), Ok(Asked::Help));
    }

    #[test]
    fn only_a_function_that_can_pull_is_asked_to() {
        let arguments = ["--pull", "--subscription", "projects/p/subscriptions/one"];
        let expected = run(&[("TRACKDROP_SUBSCRIPTION", "projects/p/subscriptions/one")], true);
        assert_eq!(parse(&TRACK, &arguments), Ok(expected));
        assert!(parse(&LOAD, &["--pull"]).unwrap_err().to_string().contains("\"--pull\" is not known"));
    }

    #[test]
    fn what_is_unknown_or_has_no_value_is_refused_by_its_name() {
        for unknown in ["--prot", "9000", "--device=cpu", "-port", "--trackdrop-port=1"] {
            let error = parse(&LOAD, &[unknown]).unwrap_err().to_string();
            assert!(error.contains(&format!("{unknown:?}")) && error.contains("--port"), "{error}");
            assert!(
                error.contains("--load-window") && !error.contains("--device "),
                "the list is of this function: {error}"
            );
        }
        for arguments in [&["--port"][..], &["--port", "--concurrency", "2"]] {
            assert_eq!(parse(&LOAD, arguments), Err(ArgumentError::NoValue("--port".into())));
        }
    }

    #[test]
    fn every_setting_that_is_documented_is_a_flag_of_some_function_and_every_flag_is_documented() {
        let functions = ["split", "track", "merge", "load", "annotate", "join", "fail"];
        let of = |function: &&str| Known { function, can_pull: false }.settings().collect::<Vec<_>>();
        let known: Vec<_> = functions.iter().flat_map(of).collect();
        let documented = include_str!("../../../docs/services.md").split("## Settings").nth(1).unwrap();
        let documented = documented.split("\n## ").next().unwrap();
        let mut names = 0;
        for cell in documented.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next()) {
            // The SDK's own stay variables.
            for name in cell.split('`').filter(|name| name.len() > 3 && !name.starts_with(['_', ',', ' '])) {
                let is_sdks =
                    name.starts_with("OTEL_") && !["_ENDPOINT", "_NAME"].iter().any(|end| name.ends_with(end));
                assert!(is_sdks || known.iter().any(|(variable, _)| *variable == name), "{name}");
                names += 1;
            }
        }
        // And the other way; those with a common beginning are told by their ends.
        for (variable, _) in &known {
            let is_told = documented.contains(&format!("`{variable}`"))
                || variable.rsplit_once('_').is_some_and(|(_, end)| documented.contains(&format!("`_{end}`")));
            assert!(is_told, "{variable} is not documented");
        }
        assert!(names > 20, "{documented}");
    }
}
