//! Options of `trackdrop scene`.

use super::ReadingArguments;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Where scenes are stored.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct SceneStore {
    /// Use the results bucket of the deployment on Google Cloud that the environment variables name, instead of the data
    /// directory
    #[arg(long)]
    pub(crate) google: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SceneCommand {
    /// Check scene files: print every error with its place, and how to correct it
    Check {
        /// Scene files, YAML or JSON
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
    },
    /// Check scene files and store them; a scene of the same name is replaced
    Add {
        /// Scene files, YAML or JSON
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        store: SceneStore,
    },
    /// List the stored scenes
    List {
        #[command(flatten)]
        store: SceneStore,
        /// Print each as a line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a stored scene as a scene file in JSON
    Show {
        /// The scene's name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        store: SceneStore,
    },
    /// Remove stored scenes; tracks are not changed
    Remove {
        /// The scenes' names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        store: SceneStore,
    },
    /// Draw a scene on a still of a video
    Preview {
        /// A scene file, or the name of a stored scene
        #[arg(value_name = "SCENE")]
        scene: String,
        /// A video, or a picture
        #[arg(value_name = "VIDEO")]
        video: PathBuf,
        /// The SVG file to write
        #[arg(long, value_name = "FILE", default_value = "scene.svg")]
        out: PathBuf,
        /// Time of the still in the video, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
        at: f64,
        #[command(flatten)]
        reading: ReadingArguments,
    },
    /// Print the JSON Schema of the scene file
    Schema,
}
