//! Who asks.

/// A user of the environment, with one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Sign-in name and the ERP's user id.
    pub name: &'static str,
    /// See [`super::model`].
    pub role: Role,
    /// Legal entities.
    pub areas: &'static [&'static str],
}

/// What a user is in the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads and writes.
    Clerk,
    /// Reads.
    Reader,
    /// Reads all tables but one.
    Partial,
}

/// Somebody who asks, as itself or as another.
#[derive(Clone, Copy, Debug)]
pub struct Viewer {
    /// For messages.
    pub name: &'static str,
    /// Who signs in.
    pub sender: Principal,
    /// As whom it acts.
    pub acts_as: Option<Principal>,
}

const ANN: Principal = Principal { name: "ann", role: Role::Clerk, areas: &["AAA"] };
const BOB: Principal = Principal { name: "bob", role: Role::Reader, areas: &["AAA", "BBB"] };
const CAT: Principal = Principal { name: "cat", role: Role::Partial, areas: &["BBB"] };
const DAN: Principal = Principal { name: "dan", role: Role::Clerk, areas: &["BBB", "AAA"] };

/// All of them. None belongs to the legal entity `HID`, and none is the ERP's user `zed`.
pub const VIEWERS: [Viewer; 5] = [
    Viewer { name: "ann", sender: ANN, acts_as: None },
    Viewer { name: "bob", sender: BOB, acts_as: None },
    Viewer { name: "cat", sender: CAT, acts_as: None },
    Viewer { name: "dan", sender: DAN, acts_as: None },
    Viewer { name: "dan as ann", sender: DAN, acts_as: Some(ANN) },
];

// === impl Viewer ===

impl Viewer {
    /// Those whose rights count.
    pub fn principals(&self) -> impl Iterator<Item = Principal> {
        std::iter::once(self.sender).chain(self.acts_as)
    }
}

// === impl Role ===

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Clerk, Self::Reader, Self::Partial];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clerk => "Clerk",
            Self::Reader => "Reader",
            Self::Partial => "Partial",
        }
    }
}
