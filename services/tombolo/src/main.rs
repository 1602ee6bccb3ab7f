//! One command for everything: `dev` runs the whole system, `serve` one service, the rest are an
//! administrator's verbs, all of them gRPC calls or work on local files. Start with `cli`.

mod add_in_command;
mod capacity_command;
mod catalog_command;
mod certificate;
mod cli;
mod client;
mod confirm;
mod dev;
mod dual_write_command;
mod env_command;
mod erp_directory;
mod exit;
mod follow;
mod home;
mod keys_command;
mod model_command;
mod names;
mod own_name;
mod print;
mod process_list;
mod serve;
mod shutdown;
mod system;
mod token;
mod user_command;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    process_list::warn_of_passwords();
    // Fails only if a provider was chosen before, which then is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !exit::closed_pipe(&error) {
                print::note(&format!("error: {}", print::chain(&error)));
            }
            exit::code(&error)
        }
    }
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Dev(args) => Box::pin(dev::run(args)).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Keys(args) => keys_command::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Model(command) => model_command::run(command).await,
        Command::Catalog(args) => catalog_command::run(args).await,
        Command::User(args) => user_command::user(args).await,
        Command::Role(args) => user_command::role(args).await,
        Command::Duty(args) => user_command::duty(args).await,
        Command::Privilege(args) => user_command::privilege(args).await,
        Command::Env(args) => env_command::run(*args).await,
        Command::Capacity(args) => capacity_command::run(args).await,
        Command::Addin(args) => add_in_command::run(args).await,
        Command::DualWrite(args) => dual_write_command::run(*args).await,
    }
}
