//! What everybody on the machine can read of this command.

const ADVICE: &str = "\
warning: the password in this command can be read by everybody on this machine, by `ps` for instance.
  Give the URL by its environment variable (--help names it), or the password in ~/.pgpass.";

/// Warns if an argument holds a password.
pub(crate) fn warn_of_passwords() {
    if std::env::args().skip(1).any(|it| has_password(&it)) {
        eprintln!("{ADVICE}");
    }
}

/// `…scheme://user:password@host…`, or a parameter `password` behind it.
fn has_password(argument: &str) -> bool {
    let Some((_, rest)) = argument.split_once("://") else { return false };
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let user = authority.rsplit_once('@').map_or("", |it| it.0);
    let given = user.split_once(':').is_some_and(|it| !it.1.is_empty());
    let parameters = behind.split_once('?').map_or("", |it| it.1).split('&');
    given || parameters.filter_map(|it| it.strip_prefix("password=")).any(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_told_from_other_arguments() {
        let check =
            |argument: &str, expected| assert_eq!(has_password(argument), expected, "{argument}");
        check("postgres://user:secret@host:5432/erp", true);
        check("--erp-url=postgres://user:se@cret@host/erp", true);
        check("postgres:///erp?host=/tmp&password=secret", true);
        check("postgres://user@host:5432/erp", false);
        check("postgres://user:@host/erp?password=", false);
        check("credit=http://127.0.0.1:9100", false);
        check("http://127.0.0.1:8081/a:b@c", false);
        check("user:secret@host", false);
    }
}
