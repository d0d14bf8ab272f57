//! `carat bench`: the load generator, a program of its own beside this one.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use carat_client::processes::sibling;
use clap::Args;

use super::Failure;

/// What is handed on.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Commands and options of carat-bench: see `carat bench run --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<std::ffi::OsString>,
}

/// Becomes the load generator.
///
/// **Errors**: it is not there.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let error = Command::new(sibling("carat-bench")?).args(&arguments.arguments).exec();
    Err(Failure::failed(format!("carat-bench cannot be started: {error}")))
}
