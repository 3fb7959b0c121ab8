//! Standard output: results and nothing else. If the reader closes it early (`| head`), that is not an error.

use std::io::{self, Write};

/// Writes a line; `println!` would panic where nobody reads.
macro_rules! line {
    ($($argument:tt)*) => { $crate::output::write_line(format_args!($($argument)*))? };
}
pub(crate) use line;

pub(crate) fn write_line(text: std::fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Whether the command ended because nobody reads its output any more, as in `trackdrop requests | head`.
pub(crate) fn nobody_reads(error: &anyhow::Error) -> bool {
    let broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(broken)
}

/// The reasons, outermost first, each said once: an error often repeats what it wraps.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            let between = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{between}{cause}");
        }
    }
    text
}
