//! Exit codes: what kind of end a command came to.

use kapelle_registry::access::Denied;
use kapelle_registry::api_key::ApiKeyError;
use kapelle_registry::credential::CredentialError;
use kapelle_registry::host_key::HostKeyError;
use kapelle_registry::jobs::ShowError;
use kapelle_registry::organization::OrganizationError;
use kapelle_registry::package::PackageError;
use kapelle_registry::token::TokenError;

use crate::output::OutputError;
use crate::settings::InvalidSettings;

/// Shown under `kapelle --help` and in the handbook.
pub(crate) const HELP: &str = "Exit codes:
  0    done
  1    failed; the sentence on standard error says why
  2    the command line or the settings are wrong
  3    what was named does not exist
  4    a job that was waited for did not succeed
  130  interrupted";

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NOT_FOUND: u8 = 3;
const JOB_FAILED: u8 = 4;
const INTERRUPTED: u8 = 130;

/// Ends of a command that are its own, not a rule's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line does not fit together.
    #[error("{0}")]
    Usage(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// A job that was waited for did not succeed.
    #[error("{0}")]
    Job(String),
    /// Ctrl-C while waiting.
    #[error("{0}")]
    Interrupted(String),
    /// Everything has been said already.
    #[error("")]
    Told,
}

/// The code for an error.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return 0;
    }
    if error.is::<InvalidSettings>() {
        return USAGE;
    }
    match error.downcast_ref::<Failure>() {
        Some(Failure::Usage(_)) => USAGE,
        Some(Failure::NotFound(_)) => NOT_FOUND,
        Some(Failure::Job(_)) => JOB_FAILED,
        Some(Failure::Interrupted(_)) => INTERRUPTED,
        None if names_nothing(error) => NOT_FOUND,
        None if is_misuse(error) => USAGE,
        Some(Failure::Told) | None => FAILED,
    }
}

/// What is said about an error; nothing where everything has been said.
pub(crate) fn sentence(error: &anyhow::Error) -> Option<String> {
    let silent = matches!(error.downcast_ref(), Some(OutputError::Closed))
        || matches!(error.downcast_ref(), Some(Failure::Told));
    let locked_out = error.chain().any(|cause| {
        let system = cause.downcast_ref::<std::io::Error>();
        system.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    });
    let advice = if locked_out {
        "; `kapelle doctor` says whose files are in the way"
    } else {
        ""
    };
    (!silent).then(|| format!("{error:#}{advice}"))
}

/// What was given can never be right, whatever there is.
fn is_misuse(error: &anyhow::Error) -> bool {
    let token = |error: &TokenError| matches!(error, TokenError::Description | TokenError::Expired);
    let organization = match error.downcast_ref() {
        Some(OrganizationError::Name(_) | OrganizationError::Email(_)) => true,
        Some(OrganizationError::Token(error)) => token(error),
        _ => false,
    };
    organization
        || error.downcast_ref().is_some_and(token)
        || matches!(error.downcast_ref(), Some(ApiKeyError::Description))
        || matches!(error.downcast_ref(), Some(PackageError::Url(_)))
        || matches!(
            error.downcast_ref(),
            Some(CredentialError::Kind(_) | CredentialError::Host(_) | CredentialError::Text(_))
        )
}

fn names_nothing(error: &anyhow::Error) -> bool {
    let unknown_package = matches!(
        error.downcast_ref(),
        Some(
            PackageError::Unknown(_)
                | PackageError::Removed { .. }
                | PackageError::NothingToPurge(_)
                | PackageError::UnknownCredential(_)
                | PackageError::NothingToUndo(_)
                | PackageError::Denied(Denied::Hidden)
        )
    );
    unknown_package
        || matches!(error.downcast_ref(), Some(TokenError::Unknown(_)))
        || matches!(error.downcast_ref(), Some(ApiKeyError::Unknown(_)))
        || matches!(error.downcast_ref(), Some(CredentialError::Unknown(_)))
        || matches!(error.downcast_ref(), Some(OrganizationError::Unknown(_)))
        || matches!(error.downcast_ref(), Some(ShowError::Unknown(_)))
        || matches!(error.downcast_ref(), Some(HostKeyError::Unknown(_)))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn who_is_locked_out_is_told_who_knows_more() {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = Err::<(), _>(denied).context("/data/tmp cannot be used");
        assert_eq!(
            sentence(&error.unwrap_err()).as_deref(),
            Some(
                "/data/tmp cannot be used: permission denied; `kapelle doctor` says whose files are in the way"
            )
        );
    }
}
