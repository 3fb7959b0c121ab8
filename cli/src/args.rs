//! Commands and options.

mod model;
mod request;
mod run;
mod scene;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{num::NonZeroUsize, path::PathBuf};
use trackdrop_detector::DeviceChoice;
use trackdrop_exchange::ExportChoice;
use trackdrop_pipeline::{DetectEvery, Edit};

pub(crate) use model::*;
pub(crate) use request::*;
pub(crate) use run::*;
pub(crate) use scene::*;

/// Drop a video, query its object tracks in SQL.
#[derive(Debug, Parser)]
#[command(name = "trackdrop", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// Where uploads, work and results are stored
    #[arg(long, global = true, value_name = "DIR", env = "TRACKDROP_DATA", default_value = "trackdrop-data")]
    pub(crate) data: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Track the objects in videos
    Run(RunArguments),
    /// Track the videos in a folder, and those that appear there later, each when its file is complete; runs until you stop it
    Watch(WatchArguments),
    /// Query the tracks in SQL. Tables: tracks, requests, scenes. Views: track_summary, objects_per_second, tracking_results; for
    /// scenes line_crossings, line_counts, zone_visits, zone_occupancy, flows, track_speeds, heatmap, encounters
    Query(QueryArguments),
    /// Serve a local web page: drop videos, see their objects frame by frame, draw lines and zones, query in SQL
    /// (docs/console.md)
    Console(ConsoleArguments),
    /// Check, store, list and preview scenes: the lines and zones over which stored tracks are counted
    #[command(subcommand)]
    Scene(SceneCommand),
    /// List the requests with state, progress and error
    Requests(RequestsArguments),
    /// Show one request: manifest, timings, the reason of a failure
    Show(ShowArguments),
    /// Track a request again with other settings, or track detections of another program; no detector runs
    Retrack(RetrackArguments),
    /// Measure tracks against ground truth, or compare the outputs of two trackers
    Eval(EvalArguments),
    /// Write a request's tracks in another tool's format
    Export(ExportArguments),
    /// List the links between track pieces that are least certain, for a request that was tracked with --link or --refine
    Links(LinksArguments),
    /// Write the best picture of each object of a request: as files, or all in one picture
    Crops(CropsArguments),
    /// Delete requests: their results, their rows, their objects in work, and with --upload their videos
    Delete(DeleteArguments),
    /// Inspect a detector, try it on a picture, build it for a GPU
    #[command(subcommand)]
    Model(ModelCommand),
    /// Predict the time and cost of a video, without processing it
    Plan(PlanArguments),
    /// Print the schemas of the tables and views
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Inspect the dead letters of Pub/Sub; resume their requests, or discard them
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Run the whole flow in a simulation with faults and a virtual clock; each run is determined by its seed
    Simulate(SimulateArguments),
    /// Check what the command needs on this machine, and print what is missing and how to install it (exit code 1: something is
    /// missing)
    Doctor(DoctorArguments),
    /// Print the completions of a shell
    Completions(CompletionsArguments),
    /// Write manual pages: `man -l FOLDER/trackdrop-run.1` shows one
    Man(ManArguments),
    /// Check that cutting a video loses no frame and adds none: compare its chunks with a serial decode (exit code 3: they
    /// differ)
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ConsoleArguments {
    /// Port on 127.0.0.1; 0 chooses a free port
    #[arg(long, value_name = "PORT", default_value_t = 8765)]
    pub(crate) port: u16,
    /// Print the address, and open no browser
    #[arg(long)]
    pub(crate) no_open: bool,
    /// The detector for dropped videos if none is chosen on the page: an ONNX file [default: the one that scripts/setup
    /// installed]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Print JSON, one line per finding
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// Which shell; for bash: `trackdrop completions bash > ~/.local/share/bash-completion/completions/trackdrop`
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The folder for the pages; it is created if it does not exist
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["request", "detections", "tracks"]))]
pub(crate) struct RetrackArguments {
    // clap does not ask for what an option requires if that conflicts with what was given. So options of a request conflict with files, too.
    /// Make another version of this request's tracks and annotated video; settings that you don't give are those of the request
    #[arg(value_name = "REQUEST", conflicts_with_all = ["detections", "tracks"])]
    pub(crate) request: Option<String>,
    /// Don't make the annotated video
    #[arg(long, requires = "request", conflicts_with_all = ["detections", "tracks"])]
    pub(crate) no_video: bool,
    /// Print the summary as JSON
    #[arg(long, requires = "request", conflicts_with_all = ["detections", "tracks"])]
    pub(crate) json: bool,
    /// Correct the tracks by hand: 'merge A B' (B becomes A), 'split A FRAME' (A is a new track from there on), 'class A NAME',
    /// 'delete A'. Edits are applied in the given order, after all refinements and after the edits that the request already has
    #[arg(long, value_name = "EDIT", requires = "request", conflicts_with_all = ["detections", "tracks"])]
    pub(crate) edit: Vec<Edit>,
    /// Undo the last N edits of the request
    #[arg(
        long,
        value_name = "N",
        requires = "request",
        conflicts_with_all = ["detections", "tracks"],
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) undo: usize,
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
    /// Or track detections of another program: CSV with header frame,x1,y1,x2,y2,score, MOTChallenge det.txt, or Trackdrop's
    /// detections.parquet
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) detections: Option<PathBuf>,
    /// Or refine tracks of another program: MOTChallenge text, CSV, or Trackdrop's tracks.parquet; --recover and --backfill also
    /// need --detections
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) tracks: Option<PathBuf>,
    /// The file to write the tracks to: .csv, .txt (MOTChallenge) or .parquet
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    pub(crate) out: Option<PathBuf>,
    /// Frame rate of --detections or --tracks [default: 30]. Refinements need it to compute seconds. Without a refinement it also
    /// scales --track-buffer. With a refinement, add --scale-buffer for that
    #[arg(long, value_name = "FPS", conflicts_with = "request")]
    pub(crate) frame_rate: Option<f64>,
    /// Number of frames of the video, if --detections or --tracks end earlier [default: the last frame in the file]
    #[arg(long, value_name = "N", conflicts_with = "request")]
    pub(crate) frames: Option<u32>,
    #[command(flatten)]
    pub(crate) results: ResultArguments,
    #[command(flatten)]
    pub(crate) tracker: TrackerArguments,
    #[command(flatten)]
    pub(crate) deviations: DeviationArguments,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    /// Ground truth: MOTChallenge gt.txt, or a CSV with header frame,id,x,y,w,h; several are pooled like TrackEval's COMBINED
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        requires = "tracks",
        conflicts_with = "compare",
        required_unless_present = "compare"
    )]
    pub(crate) gt: Vec<PathBuf>,
    /// Tracks: MOTChallenge text, CSV, or Trackdrop's tracks.parquet; one for each --gt, in the same order
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "gt", conflicts_with = "compare")]
    pub(crate) tracks: Vec<PathBuf>,
    /// Detections, which --recover and --backfill need; one for each --gt
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "gt", conflicts_with = "compare")]
    pub(crate) detections: Vec<PathBuf>,
    /// Frame rate, from which refinements compute seconds; one for all, or one for each --gt [default: 30]
    #[arg(long, value_name = "FPS", num_args = 1.., requires = "gt", conflicts_with = "compare")]
    pub(crate) frame_rate: Vec<f64>,
    #[command(flatten)]
    pub(crate) refine: RefineArguments,
    /// Evaluate only tracks of these classes, of the tracks.parquet of requests
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "gt", conflicts_with = "compare")]
    pub(crate) classes: Vec<String>,
    /// Also list the first N switches, and the N longest stretches of missed objects and of false alarms, with their frames
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20", requires = "gt", conflicts_with = "compare")]
    pub(crate) mistakes: Option<usize>,
    /// Compare two tracker outputs with each other
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    pub(crate) compare: Option<Vec<PathBuf>>,
    /// Overlap (IoU) from which two boxes match
    #[arg(long, value_name = "0..1", default_value_t = 0.5)]
    pub(crate) iou: f64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LinksArguments {
    /// The request: its id or a beginning of it, its video's name, or latest
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// At most N links, the weakest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) weakest: usize,
    /// Print JSON, one line per link
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The request: its id or a beginning of it, its video's name, or latest
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// mot, coco, cvat, csv, ndjson, video-intelligence, video-intelligence-streaming, rekognition-persons, or cvat-mot: a ZIP archive of gt.txt with
    /// classes and labels.txt, which CVAT imports as MOT 1.1
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: ExportChoice,
    /// The file to write to [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// A request of the services on Google Cloud, not of the data directory; needs the services' environment (docs/services.md)
    #[arg(long)]
    pub(crate) google: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CropsArguments {
    /// The request: its id or a beginning of it, its video's name, or latest
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// Write one JPEG per object into this folder: 000007-person.jpg
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write all crops as one picture: .jpg or .png
    #[arg(long, value_name = "FILE")]
    pub(crate) sheet: Option<PathBuf>,
    /// Print JSON, one line per crop
    #[arg(long)]
    pub(crate) json: bool,
    /// A request of the services on Google Cloud, not of the data directory; needs the services' environment (docs/services.md)
    #[arg(long)]
    pub(crate) google: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// The whole ids of the requests. `trackdrop requests` lists them; with --google, `trackdrop show VIDEO --google` prints one
    #[arg(required = true, value_name = "REQUEST")]
    pub(crate) requests: Vec<String>,
    /// Delete the upload, too
    #[arg(long)]
    pub(crate) upload: bool,
    /// Print what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also delete a request that is in progress, or one that a version in progress needs
    #[arg(long)]
    pub(crate) force: bool,
    /// Requests of the services on Google Cloud, not of the data directory; needs the services' environment (docs/services.md)
    #[arg(long)]
    pub(crate) google: bool,
    /// Print JSON, one line per request
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// One SQL statement, in DuckDB's dialect
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
    /// The format of the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Read only the tracks of videos that were uploaded at this time or later: a date, or a date and time in UTC
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Read only the tracks of videos that were uploaded before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct RequestsArguments {
    /// Print JSON, one line per request
    #[arg(long)]
    pub(crate) json: bool,
    /// Find stalled requests, print why they stall, and queue their events again; the next `trackdrop run` delivers them.
    /// Requests that can't resume fail
    #[arg(long)]
    pub(crate) sweep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The request: its id or a beginning of it, its video's name, or latest
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// Print how long each part took, and the bottleneck
    #[arg(long)]
    pub(crate) timeline: bool,
    /// Print JSON: the whole manifest, or the timeline
    #[arg(long)]
    pub(crate) json: bool,
    /// A request of the services on Google Cloud, not of the data directory; needs the services' environment (docs/services.md)
    #[arg(long)]
    pub(crate) google: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// The video
    #[arg(value_name = "VIDEO")]
    pub(crate) video: PathBuf,
    /// Frames per second that one GPU detects: `fps_per_instance` in summary.json of an earlier request on such a GPU
    #[arg(long, value_name = "F")]
    pub(crate) fps_per_gpu: f64,
    /// The largest number of GPU instances
    #[arg(long, value_name = "N")]
    pub(crate) max_instances: NonZeroUsize,
    /// Seconds that a new instance needs until it can detect
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) start_seconds: f64,
    /// Target length of the segments
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) segment_seconds: f64,
    /// The detector looks only at every N-th frame; auto and auto:PERCENT need --probe
    #[arg(long, value_name = "N|auto", default_value_t = DetectEvery::ALL)]
    pub(crate) detect_every: DetectEvery,
    /// Run the detector on a few stretches of the video on this machine, and print what each N would lose and cost
    #[arg(long)]
    pub(crate) probe: bool,
    /// With --probe, the detector, an ONNX file [default: the one that scripts/setup installed]
    #[arg(long, value_name = "FILE", requires = "probe")]
    pub(crate) model: Option<PathBuf>,
    /// With --probe, the device, as for `run`
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto, requires = "probe")]
    pub(crate) device: DeviceChoice,
    /// With --probe, refine the tracks like `run --refine`
    #[arg(long, requires = "probe")]
    pub(crate) refine: bool,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List the dead letters; changes nothing
    List(ListDeadLettersArguments),
    /// Open their requests again, and publish the events that these wait for; needs the services' environment variables
    /// (docs/services.md)
    Replay(ChosenDeadLettersArguments),
    /// Discard dead letters; their requests remain failed
    #[command(alias = "drop")]
    Discard(ChosenDeadLettersArguments),
}

/// Where the dead letters are.
#[derive(Debug, Args)]
pub(crate) struct DeadLetterSubscriptionArguments {
    /// The dead letters' subscription: projects/PROJECT/subscriptions/SUBSCRIPTION
    #[arg(long, value_name = "NAME", env = "TRACKDROP_DEAD_LETTERS_SUBSCRIPTION")]
    pub(crate) subscription: String,
}

#[derive(Debug, Args)]
pub(crate) struct ListDeadLettersArguments {
    #[command(flatten)]
    pub(crate) from: DeadLetterSubscriptionArguments,
    /// Print JSON, one line per dead letter
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["ids", "all"]))]
pub(crate) struct ChosenDeadLettersArguments {
    #[command(flatten)]
    pub(crate) from: DeadLetterSubscriptionArguments,
    /// The dead letters' ids, as `trackdrop dead-letters list` prints them
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All dead letters
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// BigQuery's schema files and the SQL of the views, for Terraform
    Bigquery(BigquerySchemaArguments),
}

#[derive(Debug, Args)]
pub(crate) struct BigquerySchemaArguments {
    /// Write TABLE.json and VIEW.sql into this folder [default: print all as one JSON object]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// The first seed; the same seed always gives the same run
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The number of seeds, one after the other
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) runs: u64,
    /// Instead measure the counter of finished segments, compared with a number in one object that is increased by
    /// compare-and-set
    #[arg(long, conflicts_with_all = ["seed", "runs"])]
    pub(crate) counter: bool,
    /// Instead simulate a day on Google Cloud, without faults: how long videos take, what they cost, which limit is reached
    /// first. PROFILE is small, hundred, thousand, ten-thousand, hundred-thousand, million, hour-on-20, or a YAML or JSON file
    /// with other values (docs/scale.md)
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["runs", "counter"])]
    pub(crate) day: Option<String>,
    /// Set a value of the profile by its path, as in limits.bucket_writes_per_s=500; can be repeated
    #[arg(long, value_name = "PATH=VALUE", requires = "day", conflicts_with_all = ["runs", "counter"])]
    pub(crate) set: Vec<String>,
    /// The largest number of GPU instances: deployment.gpus
    #[arg(long, value_name = "N", requires = "day", conflicts_with_all = ["runs", "counter"])]
    pub(crate) gpus: Option<u32>,
    /// Frames per second that one GPU detects: times.fps_per_gpu
    #[arg(long, value_name = "F", requires = "day", conflicts_with_all = ["runs", "counter"])]
    pub(crate) fps_per_gpu: Option<f64>,
    /// Print all values of --day's profile and their sources, as JSON, and simulate nothing
    #[arg(long, requires = "day", conflicts_with_all = ["runs", "counter"])]
    pub(crate) show_profile: bool,
    /// The format of the report of --day
    #[arg(long, value_enum, default_value_t = DayFormat::Table, requires = "day", conflicts_with_all = ["runs", "counter"])]
    pub(crate) format: DayFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DayFormat {
    /// For people
    Table,
    /// One JSON object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The video
    #[arg(value_name = "VIDEO")]
    pub(crate) video: PathBuf,
    /// Target length of the segments
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) segment_seconds: f64,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
    /// Write a line for each frame: index, PTS as in the rows, seconds, and the MD5 of the decoded picture that `ffmpeg -f
    /// framemd5` prints
    #[arg(long, value_name = "CSV")]
    pub(crate) frames: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the result, also a refusal, as a cell of a table
    #[arg(long, hide = true, conflicts_with = "json")]
    pub(crate) markdown: bool,
}
