//! Ctrl-C and SIGTERM.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Asked to stop, and told to everybody who listens.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            sender.send_replace(true);
            // A second signal is for the impatient.
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(130);
        });
        Ok(Self(receiver))
    }

    /// Returns when asked to stop.
    pub(crate) async fn asked(mut self) {
        // The sender lives as long as the process, so this ends only when it was asked.
        let _ = self.0.wait_for(|it| *it).await;
    }
}
