//! Which tables of the ERP are captured: those of the entities whose changes the catalog wants tracked.

use std::sync::Arc;

use provider::ChangeTracking;

use crate::definitions::Definitions;

/// Captures what the newest definitions want, for ever.
pub(crate) async fn follow(definitions: Arc<Definitions>, changes: ChangeTracking) {
    let mut revisions = definitions.revisions();
    loop {
        // The definitions live as long as this.
        if revisions.wait_for(Option::is_some).await.is_err() {
            return;
        }
        let entities = definitions.all();
        changes.want(entities.values().map(AsRef::as_ref));
        if revisions.changed().await.is_err() {
            return;
        }
    }
}
