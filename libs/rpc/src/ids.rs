//! Ids that several services derive alike.

use uuid::Uuid;

const SYSTEM_USERS: Uuid = Uuid::from_u128(0x4d0c_5a1e_93b7_4f62_8c1d_7be0_a2f4_6195);

/// The platform's row of the user of a name, told apart without regard to the case of ASCII letters. Derived,
/// so that a user keeps it wherever and whenever its name is read.
#[must_use]
pub fn system_user_id(name: &str) -> Uuid {
    Uuid::new_v5(&SYSTEM_USERS, name.to_ascii_lowercase().as_bytes())
}
