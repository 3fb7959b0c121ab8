//! The command line of a service. Each environment variable that it reads is also a flag.

use crate::setting::{ALL, About};
use std::{collections::BTreeMap, env, ffi::OsString, fmt::Write, io, os::unix::process::CommandExt, process::Command};

/// The meaning of a command line.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Print the help.
    Help,
    /// Run with these variables.
    Run { variables: BTreeMap<&'static str, String>, is_pulling: bool },
}

/// Why a command line is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ArgumentError {
    #[error("the argument {argument:?} is not known; there are:\n{known}")]
    Unknown { argument: String, known: String },
    #[error("{0} has no value: write {0}=VALUE")]
    NoValue(String),
}

/// How a service runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Events are pushed to it.
    Pushed,
    /// It pulls events.
    Pulling,
    /// The process ends: everything was printed.
    Ended,
}

/// Applies the command line of this process. If it sets variables, the process executes itself again with these
/// variables in its environment. So all code that reads the environment finds them. A process can't safely change its
/// own environment while other threads can read it.
///
/// # Errors
/// The message for the caller.
pub(crate) fn follow(function: &str, can_pull: bool) -> Result<Start, String> {
    let known = Known { function, can_pull };
    match known.parse(env::args_os().skip(1)).map_err(|error| error.to_string())? {
        Asked::Help => {
            // A reader can stop early, as `head` does. This is not an error.
            io::Write::write_all(&mut io::stdout(), known.help().as_bytes()).ok();
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
    fn settings(&self) -> impl Iterator<Item = &'static About> {
        ALL.iter().copied().filter(|about| about.is_of(self.function))
    }

    fn parse(&self, arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, ArgumentError> {
        let (mut variables, mut is_pulling) = (BTreeMap::new(), false);
        // An argument that is not text is neither a known flag nor a valid value.
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
                    let Some(about) = self.settings().find(|about| about.flag() == flag) else {
                        return Err(ArgumentError::Unknown { argument, known: self.list() });
                    };
                    let value = value.or_else(|| arguments.next_if(|next| !next.starts_with("--")));
                    let value = value.ok_or_else(|| ArgumentError::NoValue(flag.to_owned()))?;
                    variables.insert(about.name, value);
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

    /// One line for each.
    fn list(&self) -> String {
        let mut list = String::new();
        if self.can_pull {
            writeln!(list, "  {PULL:<30}  take events out of the subscription; without it they are pushed").ok();
        }
        for about in self.settings() {
            let default = if about.default.is_empty() { String::new() } else { format!(" ({})", about.default) };
            let line = format!("{:<30}  {}{default} [{}]", about.flag(), about.meaning, about.name);
            // Markdown's marks belong to the page that has the same list.
            writeln!(list, "  {}", line.replace('`', "")).ok();
        }
        writeln!(list, "  {:<30}  say this", "--help").ok();
        list
    }
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
}
