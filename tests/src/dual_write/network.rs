//! The network between the sides, and what it does to what passes.
//!
//! Where the machine lets it, the sides live in Linux network namespaces: this process, and with it the platform,
//! in one, the ERP's PostgreSQL in another, joined by two ends of a virtual cable. No namespace has a name: each
//! lives as long as a process or thread is in it, and the kernel takes it away with its cable, however that ended.
//! Elsewhere there is the relay of [`Erp`] alone, which cuts and delays in user space.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime;
use tokio::sync::oneshot;

use crate::Erp;
use crate::erp::Place;

/// `relay` is for those who want no namespaces.
const WANTED: &str = "NETWORK";
const NAMESPACES: &str = "namespaces";
/// With privileges, and with those that everybody has in a user namespace of their own.
const WAYS_IN: [&[&str]; 2] =
    [&["--net"], &["--user", "--map-current-user", "--keep-caps", "--net"]];

/// The ends of the cable, each named by its side.
const PLATFORM: &str = "platform";
const ERP: &str = "erp";
const PLATFORM_ADDRESS: &str = "10.0.0.1/30";
const ERP_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const ERP_PREFIX: &str = "10.0.0.2/30";

/// What is between the platform and the ERP.
#[derive(Debug)]
pub(super) struct Network {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Relay,
    Namespaces {
        erp: Place,
        /// Whether the kernel delays and loses packets; the relay delays where it does not.
        netem: bool,
        /// The thread that keeps the ERP's namespace ends with it.
        _end: oneshot::Sender<()>,
    },
}

/// One end of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing gets an answer.
    Erp,
    /// There is no route to the other side, and the system says so at once.
    Platform,
}

/// Puts this process into a network namespace of its own, where the machine lets it: the program begins
/// again. To be called before there are threads.
pub fn enter() {
    if std::env::var_os(WANTED).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // What the checker is going to do, too.
    let trial =
        "ip link set lo up && ip link add platform type veth peer name erp && unshare --net true";
    for way in WAYS_IN {
        let mut unshare = Command::new("unshare");
        let tried = unshare.args(way).args(["sh", "-c", trial]).output();
        if tried.is_ok_and(|it| it.status.success()) {
            let mut again = Command::new("unshare");
            again.args(way).arg("--").arg(&program).args(std::env::args_os().skip(1));
            let error = again.env(WANTED, NAMESPACES).exec();
            println!("        no namespaces: {error}");
        }
    }
}

// === impl Network ===

impl Network {
    pub(super) async fn new() -> Result<Self> {
        if std::env::var(WANTED).is_ok_and(|it| it == NAMESPACES) {
            return Self::namespaces().await.context("network namespaces");
        }
        Ok(Self { way: Way::Relay })
    }

    async fn namespaces() -> Result<Self> {
        run("ip", &["link", "set", "lo", "up"])?;
        // It ends with our end of the pipe, and the namespace with it unless somebody else is in by then.
        let mut first = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        first.stdout.take().context("no output")?.read_exact(&mut [0])?;
        let process = first.id().to_string();
        let cable =
            ["link", "add", PLATFORM, "type", "veth", "peer", "name", ERP, "netns", &process];
        run("ip", &cable)?;
        run("ip", &["address", "add", PLATFORM_ADDRESS, "dev", PLATFORM])?;
        run("ip", &["link", "set", PLATFORM, "up"])?;
        let namespace = File::open(format!("/proc/{process}/ns/net"))?;
        let (end, ended) = oneshot::channel();
        let (begun, began) = oneshot::channel();
        std::thread::Builder::new().name("erp-side".to_owned()).spawn(move || {
            let there = erp_side(&namespace);
            let handle = there.as_ref().map(|it| it.handle().clone());
            let _ = begun.send(handle.map_err(|it| anyhow::anyhow!("{it:#}")));
            if let Ok(there) = there {
                let _ = there.block_on(ended);
            }
        })?;
        let runtime = began.await??;
        drop(first.stdin.take());
        first.wait()?;
        let netem = run("tc", &["qdisc", "replace", "dev", PLATFORM, "root", "netem"]).is_ok();
        if netem {
            run("tc", &["qdisc", "del", "dev", PLATFORM, "root"])?;
        }
        let erp = Place { address: IpAddr::V4(ERP_ADDRESS), runtime };
        Ok(Self { way: Way::Namespaces { erp, netem, _end: end } })
    }

    /// Where the ERP is.
    pub(super) fn place_of_erp(&self) -> Place {
        match &self.way {
            Way::Relay => Place::here(),
            Way::Namespaces { erp, .. } => erp.clone(),
        }
    }

    /// The cable is unplugged for a while. Where there is none, every connection is cut.
    pub(super) async fn unplug(&self, erp: &Erp, end: End, moment: Duration) -> Result<()> {
        if matches!(self.way, Way::Relay) {
            erp.cut();
            return Ok(());
        }
        self.set(end, "down").await?;
        tokio::time::sleep(moment).await;
        self.set(end, "up").await
    }

    /// Everything is late by so much for a while, and a little of it is lost where the kernel can do that.
    pub(super) async fn slow(&self, erp: &Erp, delay: Duration, moment: Duration) -> Result<()> {
        if !matches!(self.way, Way::Namespaces { netem: true, .. }) {
            erp.delay(delay);
            tokio::time::sleep(moment).await;
            erp.delay(Duration::ZERO);
            return Ok(());
        }
        let delay = format!("{}ms", delay.as_millis());
        let to =
            ["qdisc", "replace", "dev", PLATFORM, "root", "netem", "delay", &delay, "loss", "2%"];
        run("tc", &to)?;
        tokio::time::sleep(moment).await;
        run("tc", &["qdisc", "del", "dev", PLATFORM, "root"])
    }

    async fn set(&self, end: End, state: &'static str) -> Result<()> {
        match (end, &self.way) {
            (End::Erp, Way::Namespaces { erp, .. }) => {
                erp.run(async move { run("ip", &["link", "set", ERP, state]) }).await
            }
            _ => run("ip", &["link", "set", PLATFORM, state]),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::Relay => "a relay between the sides",
            Way::Namespaces { netem: true, .. } => "network namespaces, delays by netem",
            Way::Namespaces { netem: false, .. } => {
                "network namespaces, delays by a relay (no netem in this kernel)"
            }
        })
    }
}

/// Moves this thread into the ERP's namespace. What the runtime starts is there, too.
fn erp_side(namespace: &File) -> Result<runtime::Runtime> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    run("ip", &["link", "set", "lo", "up"])?;
    run("ip", &["address", "add", ERP_PREFIX, "dev", ERP])?;
    run("ip", &["link", "set", ERP, "up"])?;
    Ok(runtime::Builder::new_current_thread().enable_all().build()?)
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
    Ok(())
}
