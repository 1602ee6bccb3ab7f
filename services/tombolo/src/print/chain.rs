//! Why something failed, from what was tried to the first cause, each said once.

/// Many errors repeat their cause in their own text, and some do not: what repeats is left out.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        // Its own text goes on with the line of PostgreSQL's source that said so.
        if let Some(sqlx::Error::Database(said)) = cause.downcast_ref() {
            parts.push(said.message().to_owned());
            break;
        }
        let text = cause.to_string();
        let own = match cause.source() {
            Some(next) => without(&text, &next.to_string()).to_owned(),
            None => text,
        };
        if !own.is_empty() {
            parts.push(own);
        }
    }
    parts.join(": ")
}

/// A text without the cause that it ends in.
fn without<'t>(text: &'t str, cause: &str) -> &'t str {
    text.strip_suffix(cause).map_or(text, |it| it.trim_end().trim_end_matches(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error("`{0}`: {1}")]
        Repeats(&'static str, #[source] std::io::Error),
        #[error("`{0}` cannot be used")]
        DoesNot(&'static str, #[source] std::io::Error),
        #[error(transparent)]
        Nothing(std::io::Error),
    }

    #[test]
    fn each_cause_is_said_once() {
        let missing = || std::io::Error::other("no such file");
        let said = |failed: Failed| chain(&anyhow::Error::new(failed).context("starting"));
        assert_eq!(said(Failed::Repeats("/x", missing())), "starting: `/x`: no such file");
        let does_not = said(Failed::DoesNot("/x", missing()));
        assert_eq!(does_not, "starting: `/x` cannot be used: no such file");
        assert_eq!(said(Failed::Nothing(missing())), "starting: no such file");
        assert_eq!(chain(&anyhow::anyhow!("ends in: nothing")), "ends in: nothing");
    }

    #[test]
    fn a_library_that_repeats_itself_is_told_once() {
        let error = sqlx::Error::Io(std::io::Error::other("refused"));
        let said = chain(&anyhow::Error::new(error).context("the store"));
        assert_eq!(said, "the store: error communicating with database: refused");
    }
}
