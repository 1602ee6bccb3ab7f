//! What can be said on the command line.

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use proto::capacity::v1::{Pool, PoolAmount};
use proto::lifecycle::v1::PlatformEnvironmentType;

use super::*;

fn parse(line: &[&str]) -> Result<Command, clap::Error> {
    Cli::try_parse_from([&["tombolo"], line].concat()).map(|it| it.command)
}

fn refused(line: &[&str]) -> ErrorKind {
    parse(line).unwrap_err().kind()
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_exit_codes_are_in_the_help() {
    for command in ["env", "capacity", "addin", "dual-write"] {
        let help = parse(&[command, "--help"]).unwrap_err().to_string();
        assert!(help.contains("3  the operation failed and can be resumed"), "{help}");
        assert!(help.contains("Examples:"), "{help}");
    }
}

#[test]
fn json_can_be_asked_for_in_two_ways() {
    for line in [&["user", "list", "--json"][..], &["user", "list", "--output", "json"]] {
        let Ok(Command::User(args)) = parse(line) else { panic!("{line:?}") };
        assert!(args.output.output().json);
    }
    let Ok(Command::User(args)) = parse(&["user", "list"]) else { panic!("no user") };
    assert!(!args.output.output().json);
}

#[test]
fn types_are_words() {
    let line = ["env", "convert", "a", "--to", "production", "--no-wait"];
    let Ok(Command::Env(args)) = parse(&line) else { panic!("no env") };
    assert!(args.write.no_wait);
    let EnvCommand::Convert { to, .. } = args.command else { panic!("{:?}", args.command) };
    assert_eq!(to, PlatformEnvironmentType::Production);
    assert_eq!(refused(&["env", "convert", "a", "--to", "best"]), ErrorKind::ValueValidation);
}

#[test]
fn a_restore_is_to_one_point() {
    assert!(parse(&["env", "restore", "a", "--time", "2026-11-21T17:00:00Z"]).is_ok());
    assert_eq!(refused(&["env", "restore", "a"]), ErrorKind::MissingRequiredArgument);
    let both = ["env", "restore", "a", "--backup", "b", "--time", "2026-11-21T17:00:00Z"];
    assert_eq!(refused(&both), ErrorKind::ArgumentConflict);
    assert_eq!(refused(&["env", "restore", "a", "--time", "noon"]), ErrorKind::ValueValidation);
}

#[test]
fn capacity_alone_shows_it() {
    let Ok(Command::Capacity(args)) = parse(&["capacity", "--output", "json"]) else { panic!() };
    assert!(args.command.is_none());
}

#[test]
fn amounts_are_of_a_pool() {
    let line = ["capacity", "check", "copy", "--amount", "database=1.5GB"];
    let Ok(Command::Capacity(args)) = parse(&line) else { panic!("no capacity") };
    let Some(CapacityCommand::Check { amounts, .. }) = args.command else { panic!("no check") };
    let expected = PoolAmount { pool: Pool::Database.into(), size_bytes: 3 << 29 };
    assert_eq!(amounts, [expected]);
    let line = ["capacity", "check", "copy", "--amount", "lake=1GB"];
    assert_eq!(refused(&line), ErrorKind::ValueValidation);
}

#[test]
fn a_licence_is_changed_in_something() {
    assert!(parse(&["capacity", "licences", "set", "a", "--no-end"]).is_ok());
    let nothing = refused(&["capacity", "licences", "set", "a"]);
    assert_eq!(nothing, ErrorKind::MissingRequiredArgument);
    assert!(parse(&["capacity", "assign", "finance", "alice", "--user", "admin"]).is_ok());
}

#[test]
fn parameters_of_add_ins_may_be_repeated() {
    let line = ["addin", "install", "x", "--environment", "e", "--set", "a=1", "--set", "b=2"];
    let Ok(Command::Addin(args)) = parse(&line) else { panic!("no add-in") };
    let AddInCommand::Install { parameters, agree, .. } = args.command else { panic!() };
    assert_eq!((parameters.set.len(), agree), (2, false));
}
