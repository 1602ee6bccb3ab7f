//! Two rows in two databases that say the same, and the change sets that write them.

use serde_json::json;

use crate::batch::{Batch, Part};
use crate::random::Random;

const CUSTOMERS: &str = "mserp_custcustomerv3entities";

/// A customer and an account of one number. Each write gives both the same word.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    /// `K-12`: account number on both sides.
    pub(super) number: String,
    /// The word that both hold; none when neither row is there.
    pub(super) word: Option<String>,
    /// A change set whose answer never came.
    pub(super) pending: Option<Change>,
}

/// A change set over both databases.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Repeated, it must not be done again.
    pub(super) request_id: String,
    pub(super) kind: Kind,
    /// What both hold when it is done.
    pub(super) after: Option<String>,
    /// The versions that it insists on.
    pub(super) tags: Option<[String; 2]>,
    /// Whether the ERP's row comes first.
    pub(super) erp_first: bool,
}

/// What a change set does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Update,
    Delete,
    /// One that a side refuses, so that nothing may happen.
    RefusedByErp,
    RefusedByPlatform,
}

impl Pair {
    pub(super) fn new(number: usize) -> Self {
        Self { number: format!("K-{number}"), word: None, pending: None }
    }

    /// The customer's address, and the account's.
    pub(super) fn paths(&self) -> [String; 2] {
        let number = &self.number;
        [
            format!("{CUSTOMERS}(mserp_dataareaid='USMF',mserp_customeraccount='{number}')"),
            format!("accounts(accountnumber='{number}')"),
        ]
    }

    /// Something that can be done to it now.
    pub(super) fn change(&self, random: &mut Random) -> Change {
        let word = format!("w{:016x}", random.bits());
        let kind = match (&self.word, random.below(10)) {
            (None, 0..9) => Kind::Create,
            (Some(_), 0..5) => Kind::Update,
            (Some(_), 5..8) => Kind::Delete,
            (Some(_), 8) => Kind::RefusedByPlatform,
            _ => Kind::RefusedByErp,
        };
        let after = match kind {
            Kind::Create | Kind::Update => Some(word),
            Kind::Delete => None,
            Kind::RefusedByErp | Kind::RefusedByPlatform => self.word.clone(),
        };
        let request_id = format!("{:016x}{:016x}", random.bits(), random.bits());
        Change { request_id, kind, after, tags: None, erp_first: random.one_in(2) }
    }
}

impl Change {
    /// Whether it is to succeed.
    pub(super) fn is_good(&self) -> bool {
        !matches!(self.kind, Kind::RefusedByErp | Kind::RefusedByPlatform)
    }

    /// As it is sent, the same every time.
    pub(super) fn batch(&self, pair: &Pair) -> Batch {
        let [customer, account] = pair.paths();
        let word = self.after.as_deref().unwrap_or_default();
        let number = &pair.number;
        let mut parts = match self.kind {
            Kind::Create => {
                let body = json!({ "mserp_dataareaid": "USMF", "mserp_customeraccount": number,
                    "mserp_organizationname": "Crash", "mserp_customergroupid": "10",
                    "mserp_notes": word });
                let native =
                    json!({ "name": "Crash", "accountnumber": number, "description": word });
                [Part::post(CUSTOMERS, &body), Part::post("accounts", &native)]
            }
            Kind::Delete => [Part::delete(customer), Part::delete(account)],
            Kind::Update => [
                Part::patch(customer, &json!({ "mserp_notes": word })),
                Part::patch(account, &json!({ "description": word })),
            ],
            // No customer has less than nothing, and no account is without a name.
            Kind::RefusedByErp => [
                Part::patch(customer, &json!({ "mserp_notes": "no", "mserp_creditlimit": -1 })),
                Part::patch(account, &json!({ "name": "no", "description": "no" })),
            ],
            Kind::RefusedByPlatform => [
                Part::patch(customer, &json!({ "mserp_notes": "no" })),
                Part::patch(
                    account,
                    &json!({ "description": "no", "parentaccountid@odata.bind":
                    "/accounts(00000000-0000-0000-0000-000000000001)" }),
                ),
            ],
        };
        if self.kind != Kind::Create {
            let any = ["*".to_owned(), "*".to_owned()];
            let tags = self.tags.clone().unwrap_or(any);
            let [first, second] = parts;
            let [first_tag, second_tag] = tags;
            parts = [first.header("If-Match", first_tag), second.header("If-Match", second_tag)];
        }
        let [first, second] = parts.map(|it| it.header("OData-Version", "4.0"));
        let (first, second) = if self.erp_first { (first, second) } else { (second, first) };
        Batch::default().change_set([first.id("1"), second.id("2")])
    }
}
