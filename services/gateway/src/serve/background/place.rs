//! How many operations there may be, of a gateway and of a user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::error::GatewayError;

/// Operations that wait, run, or are about to be told.
const MOST: usize = 64;
/// Fewer than run at the same time, so that nobody keeps all others waiting.
const MOST_OF_ONE: usize = 8;

/// Operations by their ids, and whose they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<Uuid, String>>>);

/// Taken for as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    id: Uuid,
    places: Places,
}

impl Places {
    pub(super) fn take(&self, id: Uuid, user: &str) -> Result<Place, GatewayError> {
        let mut taken = self.taken();
        if taken.values().filter(|it| *it == user).count() >= MOST_OF_ONE {
            let message = format!(
                "{MOST_OF_ONE} background operations of this user have not ended; try again later."
            );
            return Err(GatewayError::TooMany(message));
        }
        if taken.len() >= MOST {
            let message = "Too many background operations have not ended; try again later.";
            return Err(GatewayError::Unavailable(message.to_owned()));
        }
        taken.insert(id, user.to_owned());
        Ok(Place { id, places: self.clone() })
    }

    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.taken().keys().copied().collect()
    }

    /// Whole after every change, so a panic elsewhere has not harmed it.
    fn taken(&self) -> MutexGuard<'_, HashMap<Uuid, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_some_places_and_all_users_have_more() {
        let places = Places::default();
        let take = |user: &str| places.take(Uuid::new_v4(), user);
        let mut held: Vec<_> = (0..MOST_OF_ONE).map(|_| take("one").unwrap()).collect();
        assert!(matches!(take("one"), Err(GatewayError::TooMany(_))));
        for it in MOST_OF_ONE..MOST {
            held.push(take(&format!("user {it}")).unwrap());
        }
        assert!(matches!(take("another"), Err(GatewayError::Unavailable(_))));
        assert_eq!(places.ids().len(), MOST);
        held.remove(0);
        let again = take("one").unwrap();
        assert!(places.ids().contains(&again.id));
    }
}
