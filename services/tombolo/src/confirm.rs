//! Asks before something is done that cannot be undone. Where there is no terminal, the answer has to be
//! in the arguments.

use std::io::{IsTerminal as _, Write as _, stderr, stdin};

use anyhow::Result;

use crate::exit::{Exit, Failure};
use crate::print::note;

/// `given`, or what is typed: the name of what is about to change, which must be `expected`.
pub(crate) fn typed_name(given: Option<String>, what: &str, expected: &str) -> Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !is_terminal() {
        let message = format!("{what}. To go on, add --confirm '{expected}'");
        return Err(Failure::of(Exit::Usage, message));
    }
    note(&format!("{what}."));
    let typed = ask(&format!("Type its name, {expected}, to go on: "))?;
    if typed == expected {
        return Ok(typed);
    }
    Err(Failure::of(Exit::Refused, "that is another name; nothing was changed"))
}

/// As [`typed_name`], where nobody but us compares the names.
pub(crate) fn same_name(given: Option<String>, what: &str, expected: &str) -> Result<()> {
    if typed_name(given, what, expected)? == expected {
        return Ok(());
    }
    Err(Failure::of(Exit::Refused, "that is another name; nothing was changed"))
}

/// `given`, or what is typed: the caller's own name. Only the system knows it for certain, and compares.
pub(crate) fn own_name(given: Option<String>, what: &str, own: Option<&str>) -> Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !is_terminal() {
        let message = format!("{what}\nTo go on, add {}", own_name_argument(own));
        return Err(Failure::of(Exit::Usage, message));
    }
    note(what);
    let own = own.map(|it| format!(", {it},")).unwrap_or_default();
    ask(&format!("Type your own name{own} to go on: "))
}

/// `--confirm 'Alice Doe'`, as it would be typed.
pub(crate) fn own_name_argument(own: Option<&str>) -> String {
    let own = own.unwrap_or("YOUR DISPLAY NAME");
    format!("--confirm '{}'", own.replace('\'', r"'\''"))
}

/// Whether the terms are agreed to.
pub(crate) fn agreement(given: bool, terms: &str) -> Result<bool> {
    if given {
        return Ok(true);
    }
    if !is_terminal() {
        let message = format!("{terms}\nTo agree, add --agree");
        return Err(Failure::of(Exit::Usage, message));
    }
    note(terms);
    let answer = ask("Do you agree? [y/N] ")?;
    if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
        return Ok(true);
    }
    Err(Failure::of(Exit::Refused, "not agreed to; nothing was changed"))
}

pub(crate) fn is_terminal() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

fn ask(question: &str) -> Result<String> {
    let mut out = stderr().lock();
    write!(out, "{question}")?;
    out.flush()?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}
