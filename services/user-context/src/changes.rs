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
use crate::sources::Files;
use crate::store::{self, State, Store};
use crate::told::Told;

/// The directory of now. All of it is in memory; the store is asked when it changed.
#[derive(Debug)]
pub(crate) struct Changes {
    store: Store,
    settings: Settings,
    told: Told,
    files: Files,
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
    /// Reads the directory as it is made by [`Settings::begin`] of what the files say.
    pub(crate) async fn open(
        store: Store,
        settings: Settings,
        told: Told,
        files: Files,
        import: Option<Import>,
    ) -> Result<Self, Error> {
        let nothing = Directory::new(State::default(), &settings.jwks);
        let state = settings.begin(&store, &nothing, import.as_ref()).await?;
        let (directory, _) = watch::channel(Arc::new(nothing));
        let changes = Self { store, settings, told, files, directory };
        changes.show(state);
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
        self.publish(state).await;
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
        self.publish(self.settings.commit(change, actor, &before, &after).await?).await;
        Ok(counts)
    }

    /// Has assertions of these users made anew.
    pub(crate) async fn revoke(&self, users: &[Uuid]) -> Result<(), Error> {
        let change = self.store.change().await?;
        let known = self.directory().version.revision;
        let state = change.commit(users, self.settings.remembered, known).await?;
        self.publish(Some(state)).await;
        Ok(())
    }

    /// Publishes what others changed since, or what another database says that took the place of this one.
    pub(crate) async fn catch_up(&self) -> Result<(), Error> {
        // Known before the store is asked, which then knows no less.
        let known = self.directory().version;
        let stored = self.store.version().await?;
        if stored.database != known.database || stored.revision < known.revision {
            return self.take_over().await;
        }
        if stored.revision > known.revision {
            self.publish(Some(self.store.state().await?)).await;
        }
        Ok(())
    }

    /// How directories are changed, wherever they are.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the files of this directory are.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// Publishes what is new.
    async fn publish(&self, state: Option<State>) {
        let Some(state) = state else { return };
        if state.version.database == self.directory().version.database {
            return self.show(state);
        }
        if let Err(error) = self.take_over().await {
            tracing::warn!(%error, "cannot take over the directory of another database yet");
        }
    }

    /// Another database has taken this one's place (a copy, a backup, an empty one): begins as if started
    /// anew, and has nobody believed who was something else until now.
    async fn take_over(&self) -> Result<(), Error> {
        let known = self.directory();
        let import = self.files.load().unwrap_or_else(|error| {
            tracing::warn!(%error, "the directory of another database is taken over without its files");
            None
        });
        let begun = match self.settings.begin(&self.store, &known, import.as_ref()).await {
            Err(error @ Error::Invalid(_)) => {
                tracing::warn!(%error, "the directory of another database cannot say what its files say");
                self.settings.begin(&self.store, &known, None).await
            }
            begun => begun,
        };
        self.show(begun?);
        tracing::info!("the directory of another database was taken over");
        Ok(())
    }

    /// Unless something newer has been published.
    fn show(&self, state: State) {
        let next = Arc::new(Directory::new(state, &self.settings.jwks));
        self.directory.send_if_modified(|now| {
            let newer = next.version.revision > now.version.revision;
            if newer {
                self.told.tell(&next);
                *now = next;
            }
            newer
        });
    }
}

impl Settings {
    /// Makes the directory of a store what is served from now on in place of `known`: with all that always
    /// exists, and with what the source says, if that is not what it said last.
    async fn begin(
        &self,
        store: &Store,
        known: &Directory,
        import: Option<&Import>,
    ) -> Result<State, Error> {
        let mut change = store.change().await?;
        let State { content: before, .. } = change.state().await?;
        let mut after = before.clone();
        after.found();
        if let Some(import) = import {
            let digest = digest_of(import);
            if change.digest(import.source).await?.as_ref() != Some(&digest) {
                import.apply(&mut after)?;
                change.set_digest(import.source, &digest).await?;
            }
        }
        after.settle();
        let anonymous = self.anonymous.as_deref();
        let mut revoked = limits::revoked(&before, &after, anonymous);
        revoked.extend(limits::revoked(&known.content, &after, anonymous));
        revoked.extend(known.revoked());
        let revoked: Vec<_> = revoked.into_iter().collect();
        change.write(&before, &after).await?;
        let state = change.commit(&revoked, self.remembered, known.version.revision).await?;
        audit::changed(Actor::Environment, &before, &after);
        Ok(state)
    }

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
        // Of a directory that may not be the one that is served: its own revision is all there is to exceed.
        let state = change.commit(&revoked, self.remembered, 0).await?;
        audit::changed(actor, before, after);
        Ok(Some(state))
    }
}

fn digest_of(import: &Import) -> String {
    let text = format!("{import:?}");
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|it| format!("{it:02x}")).collect()
}
