//! How a command fails: what it says, and the exit code that scripts read.

use std::io::Write as _;
use std::process::ExitCode;

use carat_client::ClientError;
use carat_client::delivery::DeliveryError;
use carat_client::keystore::KeyError;
use carat_client::network::NetworkError;
use carat_client::payload::PayloadError;
use carat_client::processes::ProcessError;
use carat_client::receipt::TextError;
use carat_client::rest::RestError;
use carat_client::state::StateError;
use carat_types::builder::BuildError;
use carat_types::builder::amount::AmountError;
use carat_types::builder::asset::AssetError;
use carat_types::builder::price::PriceError;
use carat_types::transaction::EnvelopeError;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Something did not work.
    Failed = 1,
    /// The command was called wrongly.
    Usage = 2,
    /// Not ready, or out of time: trying again may help.
    NotReady = 3,
    /// The ledger said no.
    Rejected = 4,
}

/// A failure of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    /// With the exit code `code`. A hint in the message, `(hint: …)`, gets a line of its own.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into() }
    }

    /// Something did not work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Failure::new(Code::Failed, message)
    }

    /// The command was called wrongly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(Code::Usage, message)
    }

    /// Its exit code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        let (message, hint) = split_hint(&self.message);
        let mut out = std::io::stderr().lock();
        // If standard error is gone there is nobody left to tell.
        let _ = writeln!(out, "error: {message}");
        if let Some(hint) = hint {
            let _ = writeln!(out, "hint: {hint}");
        }
        ExitCode::from(self.code as u8)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// The message without its first hint, and that hint.
fn split_hint(message: &str) -> (String, Option<&str>) {
    let split =
        message.split_once(" (hint: ").and_then(|(before, rest)| Some((before, rest.split_once(')')?)));
    match split {
        Some((before, (hint, after))) => (format!("{before}{after}"), Some(hint)),
        None => (message.to_owned(), None),
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Refused(_) => Code::Rejected,
            ClientError::TimedOut { .. } | ClientError::Unreachable(_) => Code::NotReady,
            _ => Code::Failed,
        };
        let hint = match &error {
            ClientError::Rest(error) | ClientError::Unreachable(error) => hint(error),
            _ => "",
        };
        Failure::new(code, format!("{error}{hint}"))
    }
}

/// What helps whoever types a command, beside what the node says to every program.
fn hint(error: &RestError) -> &'static str {
    match error {
        RestError::Problem(problem) if problem.status == 401 => {
            " (hint: carat --as IDENTITY, or set CARAT_AS)"
        }
        _ => "",
    }
}

impl From<RestError> for Failure {
    fn from(error: RestError) -> Self {
        let code = match &error {
            RestError::Transport { .. } => Code::NotReady,
            RestError::Problem(problem) if matches!(problem.status, 429 | 503 | 504) => Code::NotReady,
            RestError::Problem(problem) if problem.extras.result_codes.is_some() => Code::Rejected,
            _ => Code::Failed,
        };
        Failure::new(code, format!("{error}{}", hint(&error)))
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Nodes(error) => error.into(),
            error => Failure::failed(error.to_string()),
        }
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        let code = match &error {
            ProcessError::Ended { .. } | ProcessError::NotReady { .. } => Code::NotReady,
            ProcessError::Unknown { .. } => Code::Usage,
            _ => Code::Failed,
        };
        Failure::new(code, error.to_string())
    }
}

macro_rules! failures {
    ($($error:ty => $code:ident),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::new(Code::$code, error.to_string())
            }
        }
    )*};
}

failures! {
    NetworkError => Failed,
    KeyError => Failed,
    TextError => Failed,
    PayloadError => Failed,
    DeliveryError => Failed,
    EnvelopeError => Failed,
    std::io::Error => Failed,
    BuildError => Usage,
    AmountError => Usage,
    AssetError => Usage,
    PriceError => Usage,
}

#[cfg(test)]
mod tests {
    use carat_client::rest::{Extras, Problem};

    use super::*;

    #[test]
    fn hint_gets_a_line_of_its_own() {
        let check = |message: &str, expected: &str, hint: Option<&str>| {
            assert_eq!(split_hint(message), (expected.to_owned(), hint));
        };
        check("no net (hint: make one)", "no net", Some("make one"));
        check("no net (hint: make one): because", "no net: because", Some("make one"));
        check("plain (not a hint)", "plain (not a hint)", None);
    }

    #[test]
    fn login_that_is_missing_is_named_as_a_command_has_it() {
        let problem = |status| {
            Box::new(Problem { status, title: "No".into(), detail: String::new(), extras: Extras::default() })
        };
        for (status, expected) in [(401, true), (403, false)] {
            for failure in [
                Failure::from(RestError::Problem(problem(status))),
                Failure::from(ClientError::Unreachable(RestError::Problem(problem(status)))),
            ] {
                assert_eq!(failure.to_string().contains("carat --as"), expected, "{failure}");
            }
        }
    }
}
