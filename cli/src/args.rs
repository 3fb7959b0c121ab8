//! What the user can say.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Drop a video, query its object tracks in SQL.
#[derive(Debug, Parser)]
#[command(name = "trackdrop", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// Where uploads, work and results are kept
    #[arg(long, global = true, value_name = "DIR", env = "TRACKDROP_DATA", default_value = "trackdrop-data")]
    pub(crate) data: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Track the objects in videos
    Run(RunArguments),
    /// Query the tracks in SQL: tables tracks and requests; views track_summary, objects_per_second, tracking_results
    Query(QueryArguments),
    /// List the requests with state, progress and error
    Requests(RequestsArguments),
    /// Show one request: manifest, timings, the reason of a failure
    Show(ShowArguments),
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Video files
    #[arg(required = true, value_name = "VIDEO")]
    pub(crate) videos: Vec<PathBuf>,
    /// The detector, an ONNX file [default: the one that scripts/setup fetched]
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Target length of the segments that are worked on at the same time; results do not depend on it
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) segment_seconds: f64,
    /// Track objects of these classes only
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) classes: Option<Vec<String>>,
    /// Ignore detections that score below this
    #[arg(long, value_name = "0..1")]
    pub(crate) min_score: Option<f32>,
    /// Don't make the annotated video
    #[arg(long)]
    pub(crate) no_video: bool,
    /// Process again what was processed before
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the summaries as JSON, one line a video, on standard output
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
    /// Print JSON, one line a request
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The request's id, as `trackdrop requests` lists it
    #[arg(value_name = "REQUEST")]
    pub(crate) request: String,
    /// Print the whole manifest as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
