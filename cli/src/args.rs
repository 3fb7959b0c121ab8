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
    /// Track the videos that appear in a folder, each once it is complete; runs until it is stopped
    Watch(WatchArguments),
    /// Query the tracks in SQL: tables tracks, requests and scenes; views track_summary, objects_per_second, tracking_results, and of scenes
    /// line_crossings, line_counts, zone_visits, zone_occupancy, flows, track_speeds, heatmap, encounters
    Query(QueryArguments),
    /// Serve a local web page: drop videos, look at their objects frame by frame, ask (docs/console.md)
    Console(ConsoleArguments),
    /// Lines and zones that the stored tracks are asked about
    #[command(subcommand)]
    Scene(SceneCommand),
    /// List the requests with state, progress and error
    Requests(RequestsArguments),
    /// Show one request: manifest, timings, the reason of a failure
    Show(ShowArguments),
    /// Track a request again with other settings, or anyone's detections; no detector runs
    Retrack(RetrackArguments),
    /// Measure tracks against ground truth, or one tracker's output against another's
    Eval(EvalArguments),
    /// Write a request's tracks in another tool's format
    Export(ExportArguments),
    /// List where the identities of a request that was tracked with --link or --refine are weakest
    Links(LinksArguments),
    /// Take the best crop of each object out of a request: as files, or as one picture
    Crops(CropsArguments),
    /// Delete requests everywhere: results, rows, work, and with --upload the video
    Delete(DeleteArguments),
    /// Inspect a detector, try it on a picture, build it for a GPU
    #[command(subcommand)]
    Model(ModelCommand),
    /// Predict time and cost of a video, and write nothing
    Plan(PlanArguments),
    /// Print the schemas of the tables and views
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Inspect the dead letters of Pub/Sub; resume their requests, or discard them
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Run the whole flow in a simulation that tries to break it: every fault, a virtual clock, one seed a run
    Simulate(SimulateArguments),
    /// Say what of this machine the command needs, what is missing, and how to get it (exit code 1: something is)
    Doctor(DoctorArguments),
    /// Print the completions of a shell
    Completions(CompletionsArguments),
    /// Write manual pages: `man -l FOLDER/trackdrop-run.1` shows one
    Man(ManArguments),
    /// Prove that cutting a video loses and invents no frame: its chunks against a serial decode (exit code 3: they differ)
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ConsoleArguments {
    /// Port of 127.0.0.1; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8765)]
    pub(crate) port: u16,
    /// Print the address, and open no browser
    #[arg(long)]
    pub(crate) no_open: bool,
    /// The detector of videos that are dropped, where none is chosen on the page: an ONNX file [default: the one that scripts/setup fetched]
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
    /// Make another version of this request's tracks, and of its annotated video; what is not given stays as it is there
    #[arg(value_name = "REQUEST", conflicts_with_all = ["detections", "tracks"])]
    pub(crate) request: Option<String>,
    /// Don't make the annotated video
    #[arg(long, requires = "request")]
    pub(crate) no_video: bool,
    /// Print the summary as JSON
    #[arg(long, requires = "request")]
    pub(crate) json: bool,
    /// Correct the tracks by hand, last and in this order, after the edits that the request has already: 'merge A B' (B becomes A), 'split A FRAME' (A is a
    /// new track from there on), 'class A NAME', 'delete A'
    #[arg(long, value_name = "EDIT", requires = "request")]
    pub(crate) edit: Vec<Edit>,
    /// Take back the last N edits of the request
    #[arg(long, value_name = "N", requires = "request", default_value_t = 0, hide_default_value = true)]
    pub(crate) undo: usize,
    #[command(flatten)]
    pub(crate) filter: FilterArguments,
    /// Or track anyone's detections: CSV with header frame,x1,y1,x2,y2,score, MOTChallenge det.txt, or our detections.parquet
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) detections: Option<PathBuf>,
    /// Or refine anyone's tracks: MOTChallenge text, CSV, or our tracks.parquet; --recover and --backfill look among --detections
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) tracks: Option<PathBuf>,
    /// Where the tracks go: .csv, .txt (MOTChallenge) or .parquet
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    pub(crate) out: Option<PathBuf>,
    /// Frame rate of --detections or --tracks [default: 30]. Refinements count seconds with it. Without a refinement it also scales
    /// --track-buffer. With a refinement, add --scale-buffer for that
    #[arg(long, value_name = "FPS", conflicts_with = "request")]
    pub(crate) frame_rate: Option<f64>,
    /// Frames of the video, where --detections or --tracks end before it [default: the last frame in the file]
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
    /// Ground truth: MOTChallenge gt.txt, or a CSV with header frame,id,x,y,w,h; several are pooled as TrackEval's COMBINED
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        requires = "tracks",
        conflicts_with = "compare",
        required_unless_present = "compare"
    )]
    pub(crate) gt: Vec<PathBuf>,
    /// Tracks: MOTChallenge text, CSV, or our tracks.parquet; one for each --gt, in its order
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "gt")]
    pub(crate) tracks: Vec<PathBuf>,
    /// Detections, among which --recover and --backfill look; one for each --gt
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "gt")]
    pub(crate) detections: Vec<PathBuf>,
    /// Frame rate, by which refinements count seconds; one for all, or one for each --gt [default: 30]
    #[arg(long, value_name = "FPS", num_args = 1.., requires = "gt")]
    pub(crate) frame_rate: Vec<f64>,
    #[command(flatten)]
    pub(crate) refine: RefineArguments,
    /// Compare two tracker outputs with each other
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    pub(crate) compare: Option<Vec<PathBuf>>,
    /// Overlap from which a box is a hit
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
    /// Where it goes [default: standard output]
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
    /// Write one JPEG an object into this folder: 000007-person.jpg
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write all of them as one picture: .jpg or .png
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
    /// The requests: their whole ids, as `trackdrop requests` lists them, and with --google as `trackdrop show VIDEO --google` prints them
    #[arg(required = true, value_name = "REQUEST")]
    pub(crate) requests: Vec<String>,
    /// Delete the upload, too
    #[arg(long)]
    pub(crate) upload: bool,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete also what is in progress, or what a version in progress needs
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
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Read the tracks of uploads from this time on only: a date, or a date and time in UTC
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Read the tracks of uploads before this time only
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people
    Table,
    /// Comma-separated values with a header
    Csv,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct RequestsArguments {
    /// Print JSON, one line per request
    #[arg(long)]
    pub(crate) json: bool,
    /// Find stalled requests, say why, and queue their events again, which the next `trackdrop run` delivers; fail those that can't resume
    #[arg(long)]
    pub(crate) sweep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The request: its id or a beginning of it, its video's name, or latest
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// Print where the time went, and what would have to be faster
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
    /// Frames per second that one GPU looks at: `fps_per_instance` in summary.json of an earlier run on such a GPU
    #[arg(long, value_name = "F")]
    pub(crate) fps_per_gpu: f64,
    /// The most GPU instances at a time
    #[arg(long, value_name = "N")]
    pub(crate) max_instances: NonZeroUsize,
    /// Seconds from the start of a new instance until it can detect
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) start_seconds: f64,
    /// Target length of the segments
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) segment_seconds: f64,
    /// The detector looks at every N-th frame of the video only; auto and auto:PERCENT need --probe
    #[arg(long, value_name = "N|auto", default_value_t = DetectEvery::ALL)]
    pub(crate) detect_every: DetectEvery,
    /// Look at a few stretches of the video in full, here and now, and print what each N would lose and cost
    #[arg(long)]
    pub(crate) probe: bool,
    /// With --probe, the detector, an ONNX file [default: the one that scripts/setup fetched]
    #[arg(long, value_name = "FILE", requires = "probe")]
    pub(crate) model: Option<PathBuf>,
    /// With --probe, what to detect on, as for `run`
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto, requires = "probe")]
    pub(crate) device: DeviceChoice,
    /// With --probe, tracks as `run --refine` makes them
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
    /// List them; changes nothing
    List(ListDeadLettersArguments),
    /// Reopen their requests and publish again the events that they wait for; needs the services' environment (docs/services.md)
    Replay(ChosenDeadLettersArguments),
    /// Discard them; their requests stay failed
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
    /// All of them
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
    /// The first seed; a seed is the same run every time
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How many seeds, one after the other
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) runs: u64,
    /// Measure the completion counter instead, compared with one object that is raised by compare-and-set
    #[arg(long, conflicts_with_all = ["seed", "runs"])]
    pub(crate) counter: bool,
    /// Let a day pass on Google Cloud instead, without faults: how long videos take, what they cost, what is used up first. PROFILE is small,
    /// hundred, thousand, ten-thousand, hundred-thousand, million, hour-on-20, or a YAML or JSON file that says what differs (docs/scale.md)
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["runs", "counter"])]
    pub(crate) day: Option<String>,
    /// Set a value of the profile by its path, as in limits.bucket_writes_per_s=500; again for another one
    #[arg(long, value_name = "PATH=VALUE", requires = "day")]
    pub(crate) set: Vec<String>,
    /// GPU instances at most: deployment.gpus
    #[arg(long, value_name = "N", requires = "day")]
    pub(crate) gpus: Option<u32>,
    /// Frames per second that one GPU detects: times.fps_per_gpu
    #[arg(long, value_name = "F", requires = "day")]
    pub(crate) fps_per_gpu: Option<f64>,
    /// Print the whole profile of --day and its values' sources, as JSON, and let no day pass
    #[arg(long, requires = "day")]
    pub(crate) show_profile: bool,
    /// How the day's report is printed
    #[arg(long, value_enum, default_value_t = DayFormat::Table, requires = "day")]
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
    /// Write a line for each frame: its index, PTS as in rows, seconds, MD5 of the decoded picture as `ffmpeg -f framemd5` has it
    #[arg(long, value_name = "CSV")]
    pub(crate) frames: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the verdict as a cell of a table, a refusal too
    #[arg(long, hide = true, conflicts_with = "json")]
    pub(crate) markdown: bool,
}
