//! Many clients that change the same rows, each only the version that it has read.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::Web;
use crate::random::Random;

/// A row, and the text column that every write appends a word to.
#[derive(Clone, Debug)]
pub struct Target {
    /// `set(id)`.
    pub path: String,
    /// The column.
    pub column: &'static str,
}

/// How many clients write how much.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Clients at a time.
    pub clients: usize,
    /// Writes that each of them must get acknowledged.
    pub writes: usize,
    /// Of the choice of rows.
    pub seed: u64,
}

/// What the clients were told.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Acknowledged words, by target.
    pub words: Vec<BTreeSet<String>>,
    /// Writes that were refused because another one came first.
    pub refused: usize,
    /// Requests that found the system too busy, and were sent again.
    pub busy: usize,
}

/// Writes. Any answer but success, "the version is another one" and "busy, come again" is a failure.
pub async fn run(web: &Web, targets: &[Target], load: Load) -> Result<History> {
    let clients = (0..load.clients).map(|client| one_client(web, targets, load, client));
    let mut history = History { words: vec![BTreeSet::new(); targets.len()], ..History::default() };
    for (words, refused, busy) in futures::future::try_join_all(clients).await? {
        history.refused += refused;
        history.busy += busy;
        for (target, word) in words {
            history.words[target].insert(word);
        }
    }
    Ok(history)
}

async fn one_client(
    web: &Web,
    targets: &[Target],
    load: Load,
    client: usize,
) -> Result<(Vec<(usize, String)>, usize, usize)> {
    let mut random = Random::new(load.seed ^ (client as u64).wrapping_mul(0x9E37_79B9));
    let (mut done, mut refused, mut busy) = (Vec::new(), 0, 0);
    while done.len() < load.writes {
        let number = random.below(targets.len());
        let target = &targets[number];
        ensure!(busy < 10 * load.writes, "client {client} finds the system busy all the time");
        let row = web.get(&format!("{}?$select={}", target.path, target.column)).await?;
        if row.status == 503 {
            busy += 1;
            continue;
        }
        let row = row.ok()?;
        let tag = row["@odata.etag"].as_str().context("no version")?.to_owned();
        let word = format!("{client}.{}", done.len());
        let text = format!("{} {word}", row[target.column].as_str().unwrap_or_default());
        let change = json!({ (target.column): text });
        let answer = web.patch(&target.path, &[("If-Match", &tag)], change).await?;
        match answer.status.as_u16() {
            204 => done.push((number, word)),
            412 => refused += 1,
            // Nothing was done, says the status; the check at the end says whether that is so.
            503 => busy += 1,
            _ => bail!("client {client}: {answer:?}"),
        }
        ensure!(refused < 100 * load.writes, "client {client} does not get through");
    }
    Ok((done, refused, busy))
}

impl History {
    /// The rows hold exactly the words that were acknowledged, each once: every write built on the
    /// one before it, none was lost, and none came twice.
    pub async fn check(&self, web: &Web, targets: &[Target]) -> Result<()> {
        for (target, acknowledged) in targets.iter().zip(&self.words) {
            let row = web.json(&target.path).await?;
            let text = row[target.column].as_str().unwrap_or_default();
            let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            let found: BTreeSet<_> = words.iter().cloned().collect();
            ensure!(found.len() == words.len(), "{}: a write came twice: {text}", target.path);
            let lost: Vec<_> = acknowledged.difference(&found).collect();
            ensure!(lost.is_empty(), "{}: lost: {lost:?}", target.path);
            let unknown: Vec<_> = found.difference(acknowledged).collect();
            ensure!(unknown.is_empty(), "{}: nobody was told of {unknown:?}", target.path);
            // Each client's own writes are in the order in which it was answered.
            for client in
                words.iter().filter_map(|it| it.split('.').next()).collect::<BTreeSet<_>>()
            {
                let prefix = format!("{client}.");
                let own = words.iter().filter_map(|it| it.strip_prefix(&prefix));
                let own: Vec<usize> = own.filter_map(|it| it.parse().ok()).collect();
                ensure!(
                    own.is_sorted(),
                    "{}: client {client} is out of order: {text}",
                    target.path
                );
            }
        }
        Ok(())
    }
}
