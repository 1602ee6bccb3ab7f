//! Creates the files of a cluster.

use crate::Error;
use crate::account::Account;
use crate::binaries::Binaries;
use crate::home::{Home, write_whole};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use uuid::Uuid;

/// The role that owns everything in the cluster.
pub(crate) const SUPERUSER: &str = "postgres";

const DEADLINE: Duration = Duration::from_secs(120);

/// Directories that a killed initialisation leaves have this prefix.
const ASIDE: &str = "initializing-";

/// Builds a cluster aside and renames it to its place, so that a crash leaves nothing half-written
/// where the data is expected. What is not durable is not waited for.
pub(crate) async fn run(home: &Home, binaries: &Binaries, is_durable: bool) -> Result<(), Error> {
    remove_remains(home)?;
    set_incomplete_data_aside(home)?;
    let account = home.account();
    let aside = tempfile::Builder::new()
        .prefix(ASIDE)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(home.path())
        .map_err(Error::io("cannot create a directory in", home.path()))?;
    account.give(aside.path())?;
    let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let password_file = aside.path().join("password");
    write_for(account, &password_file, &password)?;
    let built = aside.path().join("data");
    let more: &[&str] = if is_durable { &[] } else { &["--no-sync"] };
    initdb(account, binaries, (&built, &password_file), more).await?;
    // The password first: data without a password would be a cluster that nobody can enter.
    write_whole(&home.password_file(), password.as_bytes())?;
    fs::rename(&built, home.data()).map_err(Error::io("cannot create", &home.data()))
}

/// Tries the locales that sort by code point, best first: PostgreSQL's own `C.UTF-8` does not depend
/// on the system, but only exists from version 17 on; the system's may be missing.
async fn initdb(
    account: Account,
    binaries: &Binaries,
    files: (&Path, &Path),
    more: &[&str],
) -> Result<(), Error> {
    let built_in: &[&str] =
        &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
    let locales: [&[&str]; 2] =
        [if binaries.major() >= 17 { built_in } else { &["--locale=C.UTF-8"] }, &["--locale=C"]];
    let mut failure = None;
    for locale in locales {
        match initdb_with(account, binaries, files, &[locale, more].concat()).await {
            Err(Error::Initialize { status, output }) if output.contains("locale") => {
                tracing::warn!(?locale, output, "the locale is not available");
                failure = Some(Error::Initialize { status, output });
            }
            finished => return finished,
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn initdb_with(
    account: Account,
    binaries: &Binaries,
    (data, password_file): (&Path, &Path),
    more: &[&str],
) -> Result<(), Error> {
    let program = binaries.program("initdb");
    let mut command = account.command(&program);
    command
        .arg("-D")
        .arg(data)
        .arg("--pwfile")
        .arg(password_file)
        .args(["--username", SUPERUSER, "--encoding", "UTF8"])
        .args(["--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::io("cannot run", &program))?;
    let Ok(output) = tokio::time::timeout(DEADLINE, child.wait_with_output()).await else {
        return Err(Error::Initialize {
            status: format!("not finished after {DEADLINE:?}"),
            output: String::new(),
        });
    };
    let output = output.map_err(Error::io("cannot run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Error::Initialize { status: output.status.to_string(), output: text.trim().to_owned() })
}

fn write_for(account: Account, path: &Path, content: &str) -> Result<(), Error> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("cannot create", path))?;
    file.write_all(content.as_bytes()).map_err(Error::io("cannot write", path))?;
    account.give(path)
}

fn remove_remains(home: &Home) -> Result<(), Error> {
    let entries = fs::read_dir(home.path()).map_err(Error::io("cannot list", home.path()))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(ASIDE) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(Error::io("cannot remove", &path))?;
        }
    }
    Ok(())
}

/// Data that lost its control file cannot be started, but is not ours to delete.
fn set_incomplete_data_aside(home: &Home) -> Result<(), Error> {
    let data = home.data();
    if fs::remove_dir(&data).is_ok() || !data.exists() {
        return Ok(());
    }
    let aside = home.path().join(format!("data.incomplete-{}", Uuid::new_v4().simple()));
    tracing::warn!(data = %data.display(), aside = %aside.display(), "incomplete data is set aside");
    fs::rename(&data, &aside).map_err(Error::io("cannot rename", &data))
}
