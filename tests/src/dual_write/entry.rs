//! Ways in: each client writes by one of them, one request after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;

use super::ledger::{Answered, Ledger};
use crate::batch::{Batch, Part, parts};
use crate::random::Random;
use crate::{Answer, Erp, Web};

const CUSTOMERS: &str = "mserp_custcustomerv3entities";
/// Rows that everybody writes.
pub(super) const SHARED: usize = 6;
/// Of the ERP's screens, between two writes.
const BETWEEN_SCREENS: Duration = Duration::from_millis(10);
/// Rows that come and go.
const CHURNED: usize = 4;

/// One way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An account, by the Web API.
    Platform,
    /// A customer, as a virtual table.
    VirtualTable,
    /// The ERP's own screens.
    Screen,
    /// Two accounts in a change set.
    ChangeSet,
    /// An account and another customer in one change set.
    Both,
    /// An action of the ERP.
    Action,
    /// Rows made on either side and deleted on either.
    Churn,
    /// What the other side refuses.
    Refused,
}

/// What requests have to call things.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// GUID of the company that all rows are of.
    pub(super) company: String,
    /// GUID of the customer group that all rows are in.
    pub(super) group: String,
    /// The actions that block a customer, and that end it.
    pub(super) hold: String,
    pub(super) release: String,
}

pub(super) const ENTRIES: [Entry; 8] = [
    Entry::Platform,
    Entry::VirtualTable,
    Entry::Screen,
    Entry::ChangeSet,
    Entry::Both,
    Entry::Action,
    Entry::Churn,
    Entry::Refused,
];

/// Of them, those whose every write differs, and that never have the follower take a whole row over: that could
/// mend by chance what is broken.
pub(super) const NOT_MENDING: [Entry; 4] =
    [Entry::Platform, Entry::VirtualTable, Entry::ChangeSet, Entry::Both];

/// A client, for one life of the system.
pub(super) struct Client<'a> {
    pub(super) web: Web,
    pub(super) erp: &'a Erp,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) random: Random,
    /// GUIDs of the accounts, by number of the shared row.
    pub(super) accounts: Arc<Vec<String>>,
    pub(super) names: Arc<Names>,
    pub(super) screen: Option<PgConnection>,
}

/// `CHK-3`.
pub(super) fn number(row: usize) -> String {
    format!("CHK-{row}")
}

/// As both sides are compared by.
pub(super) fn key(number: &str) -> String {
    format!("USMF/{number}")
}

fn customer(number: &str) -> String {
    format!("{CUSTOMERS}(mserp_dataareaid='USMF',mserp_customeraccount='{number}')")
}

impl Client<'_> {
    /// Writes until told to stop. Ends early only by a failure of the test itself.
    pub(super) async fn run(mut self, entry: Entry, stop: watch::Receiver<bool>) -> Result<()> {
        while !*stop.borrow() {
            match entry {
                Entry::Platform => self.platform().await,
                Entry::VirtualTable => self.virtual_table().await,
                Entry::Screen => self.screen().await,
                Entry::ChangeSet => self.change_set().await?,
                Entry::Both => self.both().await?,
                Entry::Action => self.action().await?,
                Entry::Churn => self.churn().await,
                Entry::Refused => self.refused().await?,
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn platform(&mut self) {
        let row = self.random.below(SHARED);
        let (key, column) = (key(&number(row)), "exempt");
        let next = self.ledger().next(&key, column);
        let body = json!({ "msdyn_taxexemptnumber": next.to_string() });
        let path = format!("accounts({})", self.accounts[row]);
        let answer = self.web.patch(&path, &[("If-Match", "*")], body).await;
        self.ledger().told(&key, column, next, answered(answer));
    }

    async fn virtual_table(&mut self) {
        let number = number(self.random.below(SHARED));
        let (key, column) = (key(&number), "creditlimit");
        let next = self.ledger().next(&key, column);
        let body = json!({ "mserp_creditlimit": next });
        let answer = self.web.patch(&customer(&number), &[("If-Match", "*")], body).await;
        self.ledger().told(&key, column, next, answered(answer));
    }

    /// Commits by itself, like everything that an ERP's screen does.
    async fn screen(&mut self) {
        let number = number(self.random.below(SHARED));
        let (key, column) = (key(&number), "name");
        let next = self.ledger().next(&key, column);
        let told = match self.on_screen(&number, next).await {
            Ok(()) => Answered::Done,
            Err(_) => {
                self.screen = None;
                // The server may be down for a while.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Answered::Unknown
            }
        };
        self.ledger().told(&key, column, next, told);
        // As fast as they can be, writes that ask nobody would be all that there is.
        tokio::time::sleep(BETWEEN_SCREENS).await;
    }

    async fn on_screen(&mut self, number: &str, next: u64) -> Result<()> {
        let sql = "UPDATE erp.dirpartytable SET name = 'Checker ' || $2 WHERE recid =
            (SELECT party FROM erp.custtable WHERE dataareaid = 'USMF' AND accountnum = $1)";
        if self.screen.is_none() {
            self.screen = Some(PgConnection::connect(&self.erp.url().await?).await?);
        }
        let Some(connection) = &mut self.screen else { return Ok(()) };
        let next = next.to_string();
        let done = sqlx::query(sql).bind(number).bind(next).execute(connection).await?;
        anyhow::ensure!(done.rows_affected() == 1, "{number} is not there");
        Ok(())
    }

    async fn change_set(&mut self) -> Result<()> {
        let first = self.random.below(SHARED);
        let second = (first + 1 + self.random.below(SHARED - 1)) % SHARED;
        let rows = [first, second].map(|it| (it, key(&number(it))));
        let numbers = rows.clone().map(|it| self.ledger().next(&it.1, "namealias"));
        let part = |at: usize| {
            let path = format!("accounts({})", self.accounts[rows[at].0]);
            Part::patch(path, &json!({ "msdyn_namealias": numbers[at].to_string() }))
                .id(&(at + 1).to_string())
        };
        let sent = Batch::default().change_set([part(0), part(1)]).send(&self.web, &[]).await;
        let told = of_batch(sent)?;
        for (at, (_, key)) in rows.iter().enumerate() {
            self.ledger().told(key, "namealias", numbers[at], told);
        }
        Ok(())
    }

    async fn both(&mut self) -> Result<()> {
        let first = self.random.below(SHARED);
        let second = (first + 1 + self.random.below(SHARED - 1)) % SHARED;
        let cells = [(key(&number(first)), "rating"), (key(&number(second)), "language")];
        let numbers = cells.clone().map(|(key, column)| self.ledger().next(&key, column));
        let account = format!("accounts({})", self.accounts[first]);
        let account =
            Part::patch(account, &json!({ "msdyn_creditrating": numbers[0].to_string() })).id("1");
        let customer = customer(&number(second));
        let customer =
            Part::patch(customer, &json!({ "mserp_languageid": numbers[1].to_string() })).id("2");
        let sent = Batch::default().change_set([account, customer]).send(&self.web, &[]).await;
        let told = of_batch(sent)?;
        for ((key, column), next) in cells.iter().zip(numbers) {
            self.ledger().told(key, column, next, told);
        }
        Ok(())
    }

    /// Whatever it leaves is to be the same on both sides; nothing is told of it.
    async fn action(&mut self) -> Result<()> {
        let number = number(self.random.below(SHARED));
        let (name, body) = match self.random.one_in(2) {
            true => (&self.names.hold, json!({ "Reason": "checked" })),
            false => (&self.names.release, json!({})),
        };
        let path = format!("{}/Microsoft.Dynamics.CRM.{name}", customer(&number));
        let answer = self.web.post(&path, body).await;
        // What cannot be done at all would never be noticed.
        anyhow::ensure!(
            answer.is_err() || answer.is_ok_and(|it| it.status != 404),
            "{path} is none"
        );
        Ok(())
    }

    /// Makes a row where it is not, and deletes it where it is; each on a side of its own: while a map is paused, a row
    /// that came on one side and went on the other would be two rows.
    async fn churn(&mut self) {
        let at = self.random.below(CHURNED);
        let number = format!("CHN-{at}");
        let key = key(&number);
        // Who does not know tries to make it, which a row that is there refuses.
        let makes = self.ledger().is_there(&key) != Some(true);
        // The same row each time: nothing else keeps accounts' numbers apart.
        let account = format!("c4a10000-0000-4000-8000-{at:012}");
        let answer = match (makes, at.is_multiple_of(2)) {
            (true, true) => {
                let body = json!({ "accountid": account, "name": "Churned",
                    "accountnumber": number, "customertypecode": 3,
                    "msdyn_company@odata.bind": format!("/cdm_companies({})", self.names.company),
                    "msdyn_customergroupid@odata.bind":
                        format!("/msdyn_customergroups({})", self.names.group) });
                self.web.post("accounts", body).await
            }
            (true, false) => {
                let body = json!({ "mserp_dataareaid": "USMF", "mserp_customeraccount": number,
                    "mserp_organizationname": "Churned", "mserp_customergroupid": "10" });
                self.web.post(CUSTOMERS, body).await
            }
            (false, true) => self.web.delete(&format!("accounts({account})")).await,
            (false, false) => self.web.delete(&customer(&number)).await,
        };
        self.ledger().moved(&key, makes, answered(answer));
    }

    /// A one-time customer gets no credit: the ERP says so, and the account's save fails.
    async fn refused(&mut self) -> Result<()> {
        let row = self.random.below(SHARED);
        let path = format!("accounts({})", self.accounts[row]);
        let body = json!({ "creditlimit": 9, "msdyn_isonetimecustomer": true,
            "msdyn_taxexemptnumber": "refused" });
        let answer = answered(self.web.patch(&path, &[("If-Match", "*")], body).await);
        // While the map waits, the ERP is not asked; what it says then is looked at elsewhere.
        anyhow::ensure!(answer != Answered::Done, "a one-time customer got credit");
        Ok(())
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answered(answer: Result<Answer>) -> Answered {
    match answer.map(|it| it.status.as_u16()) {
        Ok(200..300) => Answered::Done,
        Ok(400..500) => Answered::Refused,
        Ok(_) | Err(_) => Answered::Unknown,
    }
}

fn of_batch(answer: Result<Answer>) -> Result<Answered> {
    let Ok(answer) = answer else { return Ok(Answered::Unknown) };
    if answer.status.is_server_error() {
        return Ok(Answered::Unknown);
    }
    let parts = parts(&answer)?;
    Ok(match parts.iter().map(|it| it.status).max() {
        Some(200..300) => Answered::Done,
        Some(400..500) => Answered::Refused,
        _ => Answered::Unknown,
    })
}
