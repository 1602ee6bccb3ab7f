//! `tombolo token`: a bearer token of the development issuer.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cli::TokenArgs;

const LIFETIME: Duration = Duration::from_secs(3_600);

pub(crate) fn run(args: &TokenArgs) -> Result<()> {
    writeln!(std::io::stdout(), "{}", mint(&args.data, &args.user)?)?;
    Ok(())
}

/// A token for `user` that the `tombolo dev` of this data directory accepts.
pub(crate) fn mint(data: &Path, user: &str) -> Result<String> {
    Ok(user_context::dev_issuer::mint(data, user, LIFETIME)?)
}
