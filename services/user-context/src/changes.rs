//! The directory of now, and its changes, by this replica and by others.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::sync::watch;
use uuid::Uuid;

use crate::audit;
use crate::content::Content;
use crate::directory::Directory;
use crate::error::Error;
use crate::import::{Counts, Import};
use crate::limits::{self, Actor};
use crate::store::{self, State, Store};
use crate::told::Told;

/// The directory of now. All of it is in memory; the store is asked when it changed.
#[derive(Debug)]
pub(crate) struct Changes {
    store: Store,
    settings: Settings,
    told: Told,
    directory: watch::Sender<Arc<Directory>>,
}

/// What stays the same.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The public keys of assertions.
    pub(crate) jwks: String,
    /// How long a revocation is remembered.
    pub(crate) remembered: Duration,
    /// The ERP user of visitors who did not sign in to a portal.
    pub(crate) anonymous: Option<String>,
}

impl Changes {
    /// Reads the directory, after what always exists has been made and what the source says now has
    /// been taken over, if it is not what it said last.
    pub(crate) async fn open(
        store: Store,
        settings: Settings,
        told: Told,
        import: Option<Import>,
    ) -> Result<Self, Error> {
        let mut change = store.change().await?;
        let State { content: before, .. } = change.state().await?;
        let mut after = before.clone();
        after.found();
        if let Some(import) = import {
            let digest = digest_of(&import);
            if change.digest(import.source).await?.as_ref() != Some(&digest) {
                import.apply(&mut after)?;
                change.set_digest(import.source, &digest).await?;
            }
        }
        after.settle();
        let revoked: Vec<_> =
            limits::revoked(&before, &after, settings.anonymous.as_deref()).into_iter().collect();
        change.write(&before, &after).await?;
        let state = change.commit(&revoked, settings.remembered).await?;
        audit::changed(Actor::Environment, &before, &after);
        let directory = Arc::new(Directory::new(State::default(), &settings.jwks));
        let (directory, _) = watch::channel(directory);
        let changes = Self { store, settings, told, directory };
        changes.publish(state);
        Ok(changes)
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.borrow())
    }

    /// The directory of now, and each that follows.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Directory>> {
        self.directory.subscribe()
    }

    /// Changes the directory, if the actor may and `edit` can.
    pub(crate) async fn change<T>(
        &self,
        actor: Actor<'_>,
        edit: impl FnOnce(&mut Content) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (answer, state) = self.settings.change(&self.store, actor, edit).await?;
        self.publish_if_new(state);
        Ok(answer)
    }

    /// Takes over what a source says, again if it says the same.
    pub(crate) async fn import(&self, actor: Actor<'_>, import: &Import) -> Result<Counts, Error> {
        let mut change = self.store.change().await?;
        let State { content: before, .. } = change.state().await?;
        limits::check_actor(actor, &before)?;
        let mut after = before.clone();
        let counts = import.apply(&mut after)?;
        limits::check(actor, &before, &after)?;
        change.set_digest(import.source, &digest_of(import)).await?;
        self.publish_if_new(self.settings.commit(change, actor, &before, &after).await?);
        Ok(counts)
    }

    /// Has assertions of these users made anew.
    pub(crate) async fn revoke(&self, users: &[Uuid]) -> Result<(), Error> {
        let change = self.store.change().await?;
        self.publish(change.commit(users, self.settings.remembered).await?);
        Ok(())
    }

    /// Publishes what others changed since.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        if self.store.revision().await? > self.directory.borrow().revision {
            self.publish(self.store.state().await?);
        }
        Ok(())
    }

    /// How directories are changed, wherever they are.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn publish_if_new(&self, state: Option<State>) {
        if let Some(state) = state {
            self.publish(state);
        }
    }

    /// Unless something newer has been published.
    fn publish(&self, state: State) {
        let next = Arc::new(Directory::new(state, &self.settings.jwks));
        self.directory.send_if_modified(|now| {
            let newer = next.revision > now.revision;
            if newer {
                self.told.tell(&next);
                *now = next;
            }
            newer
        });
    }
}

impl Settings {
    /// Changes the directory of a store, if the actor may and `edit` can; answers with what it says then, if
    /// that is something else.
    pub(crate) async fn change<T>(
        &self,
        store: &Store,
        actor: Actor<'_>,
        edit: impl FnOnce(&mut Content) -> Result<T, Error>,
    ) -> Result<(T, Option<State>), Error> {
        let mut change = store.change().await?;
        let State { content: before, .. } = change.state().await?;
        limits::check_actor(actor, &before)?;
        let mut after = before.clone();
        let answer = edit(&mut after)?;
        after.settle();
        limits::check(actor, &before, &after)?;
        Ok((answer, self.commit(change, actor, &before, &after).await?))
    }

    async fn commit(
        &self,
        mut change: store::Change,
        actor: Actor<'_>,
        before: &Content,
        after: &Content,
    ) -> Result<Option<State>, Error> {
        if audit::differences(before, after).next().is_none() {
            change.commit_unseen().await?;
            return Ok(None);
        }
        let revoked: Vec<_> =
            limits::revoked(before, after, self.anonymous.as_deref()).into_iter().collect();
        change.write(before, after).await?;
        let state = change.commit(&revoked, self.remembered).await?;
        audit::changed(actor, before, after);
        Ok(Some(state))
    }
}

fn digest_of(import: &Import) -> String {
    let text = format!("{import:?}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|it| format!("{it:02x}")).collect()
}
