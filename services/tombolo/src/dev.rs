//! `tombolo dev`: everything in one process. The services are the ones of a cluster, and so are the
//! clients between them; only the channels are function calls.

mod administrator;
mod companies;
mod control_plane;
mod databases;
mod demo_model;
mod directory;
mod dual_write;
mod empty_model;
mod environments;
mod erp_users;
mod platform;
mod progress;
mod system;
mod tenant;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rpc::Listener;

use crate::certificate;
use crate::cli::{self, DevArgs};
use crate::home::Home;
use crate::shutdown::Shutdown;
use databases::Databases;
use system::{Over, System};
use tenant::Link;

/// How long requests in flight may take when the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: DevArgs) -> Result<()> {
    let shutdown = Shutdown::listen()?;
    let _telemetry = telemetry::init("tombolo", telemetry::Options::default())?;
    let home = Home::open(&args.data)?;
    // Bound before anything slow begins, so that a port in use is told at once.
    let tls = certificate::tls_for(&home, &[args.listen, args.grpc_listen])?;
    let http = certificate::listen(args.listen, tls.as_ref()).await?;
    let grpc = certificate::listen(args.grpc_listen, tls.as_ref()).await?;
    let databases = tokio::select! {
        databases = Databases::open(&args, &home) => databases?,
        () = shutdown.clone().asked() => return Ok(()),
    };
    let outcome = Box::pin(serve(&args, &home, &databases, http, grpc, shutdown)).await;
    databases.close().await?;
    outcome
}

async fn serve(
    args: &DevArgs,
    home: &Home,
    databases: &Databases,
    http: Listener,
    grpc: Listener,
    shutdown: Shutdown,
) -> Result<()> {
    let addresses = Addresses { http: url(&http)?, grpc: url(&grpc)? };
    let model_dir = match &args.model {
        Some(dir) => dir.clone(),
        None => demo_model::unpack(home)?,
    };
    let erp = query_config(args, databases);
    let over = Over {
        home,
        databases,
        erp: &erp,
        model_dir: &model_dir,
        url: &addresses.http,
        address: http.local_addr()?,
    };
    let system = tokio::select! {
        system = System::start(over) => system?,
        () = shutdown.clone().asked() => return Ok(()),
    };
    let web = gateway::serve_http(http, system.web(over)?, shutdown.clone().asked());
    let (routes, readiness) = system.public_grpc()?;
    let rpc = rpc::Server::serve(routes, grpc, shutdown.clone().asked());
    let web = async {
        web.await;
        Ok(())
    };
    let serving = async { tokio::try_join!(web, async { Ok(rpc.await?) }) };
    let announce = async {
        let link = system.ready(!args.no_link).await;
        readiness.set(true).await;
        announce(&addresses, &link, args)?;
        // Wanted by whoever deploys another ERP, and by nobody before.
        if let Err(error) = databases.make_erp_template().await {
            tracing::error!(error = format!("{error:#}"), "no ERP can be deployed");
        }
        Ok(())
    };
    let overdue = async {
        shutdown.asked().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        // Announcing ends long before serving does.
        outcome = async { tokio::try_join!(serving, announce) } => outcome.map(drop),
        () = overdue => {
            tracing::warn!("requests in flight were cut off");
            Ok(())
        }
        how = databases.ended() => bail!("the private PostgreSQL ended by itself: {how}"),
    }
}

fn query_config(args: &DevArgs, databases: &Databases) -> query::Config {
    let business_logic = args.business_logic.iter().cloned().collect();
    query::Config { business_logic, ..query::Config::new(databases.erp_url().to_owned()) }
}

/// Where clients reach the system.
#[derive(Debug, serde::Serialize)]
struct Addresses {
    http: String,
    grpc: String,
}

fn url(listener: &Listener) -> Result<String> {
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(format!("{}://{address}", listener.scheme()))
}

/// What verbs that need a token have to be told where it is not what they assume.
fn data_arguments(data: &Path) -> String {
    match data.to_str() {
        Some(cli::DEFAULT_DATA) => String::new(),
        _ => format!(" --data '{}'", data.display().to_string().replace('\'', r"'\''")),
    }
}

/// The same of verbs that call services.
fn server_arguments(grpc: &str, data: &Path) -> String {
    let data = data_arguments(data);
    match grpc {
        cli::DEFAULT_SERVER => data,
        other => format!(" --server {other}{data}"),
    }
}

fn announce(addresses: &Addresses, link: &Link, args: &DevArgs) -> Result<()> {
    let Addresses { http, grpc } = addresses;
    let (data, server) = (data_arguments(&args.data), server_arguments(grpc, &args.data));
    eprintln!("\nTombolo is ready.\n  Web API  {http}/api/data/v9.2/\n  gRPC     {grpc}");
    eprintln!("{}\n  Manage   tombolo env list{server}", link.told(&server));
    eprintln!("  Token    tombolo token --user admin{data}\nCtrl-C stops everything.");
    let Some(file) = args.ready_file.as_deref() else { return Ok(()) };
    // Written aside and renamed, so that whoever waits for the file finds it whole.
    let draft = file.with_extension("draft");
    std::fs::write(&draft, serde_json::to_vec(addresses)?)
        .and_then(|()| std::fs::rename(&draft, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_only_what_they_do_not_assume() {
        let (data, server) = (Path::new(".tombolo"), "http://127.0.0.1:8081");
        assert_eq!(data_arguments(data), "");
        assert_eq!(server_arguments(server, data), "");
        let other = Path::new("/srv/it's mine");
        assert_eq!(data_arguments(other), r" --data '/srv/it'\''s mine'");
        assert_eq!(server_arguments(server, other), data_arguments(other));
        assert_eq!(server_arguments("https://[::1]:9", data), " --server https://[::1]:9");
    }
}
