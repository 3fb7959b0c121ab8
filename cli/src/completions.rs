//! `trackdrop completions` and `trackdrop man`: completions for shells, and manual pages.

use crate::args::{Arguments, CompletionsArguments, ManArguments};
use anyhow::Context;
use clap::CommandFactory;
use std::io::{self, Write};

/// The name of the program, as it is called.
const NAME: &str = "trackdrop";

/// Writes a shell's completions to standard output.
pub(crate) fn completions(arguments: &CompletionsArguments) -> anyhow::Result<()> {
    // Into memory first: the generator panics where nobody reads.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), NAME, &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}

/// Writes a manual page for the command and each subcommand into a folder.
pub(crate) fn man(arguments: &ManArguments) -> anyhow::Result<()> {
    let folder = &arguments.folder;
    let written = || format!("writing manual pages into {folder:?}");
    std::fs::create_dir_all(folder).with_context(written)?;
    clap_mangen::generate_to(Arguments::command(), folder).with_context(written)
}
