//! Repeating a write with the same key has one effect and the same answer, for a day. The key is inserted in
//! the write's own transaction, first; a repetition waits for that transaction to end, and then either reads
//! its answer or, after a rollback, is the first itself.

use prost::Message;
use rpc::Caller;
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnection;

use crate::error::Error;

const LONGEST_KEY: usize = 128;

/// What is known of a request.
#[derive(Debug)]
pub(crate) enum Known<A> {
    /// Nothing: it is to be done, and the answer to be recorded with this before the commit.
    Fresh(Key),
    /// It was done, with this answer.
    Answered(A),
}

/// A key that was taken; none, where the caller gave none.
#[derive(Debug)]
pub(crate) struct Key(Option<Request>);

#[derive(Debug)]
struct Request {
    caller: String,
    key: String,
    digest: Vec<u8>,
}

/// Looks the key up and takes it, within the open transaction. `method` tells requests of one shape apart.
pub(crate) async fn begin<Q: Message, A: Message + Default>(
    connection: &mut PgConnection,
    caller: &Caller,
    key: &str,
    method: &str,
    request: &Q,
) -> Result<Known<A>, Error> {
    let Some(request) = Request::new(caller, key, method, request)? else {
        return Ok(Known::Fresh(Key(None)));
    };
    let forget = "DELETE FROM idempotency WHERE create_time < now() - interval '24 hours'";
    sqlx::query(forget).execute(&mut *connection).await?;
    let insert = "INSERT INTO idempotency (caller, key, digest) VALUES ($1, $2, $3)
                  ON CONFLICT DO NOTHING";
    let insert = sqlx::query(insert).bind(&request.caller).bind(&request.key).bind(&request.digest);
    if insert.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(Known::Fresh(Key(Some(request))));
    }
    match request.answer(connection).await? {
        Some(answer) => Ok(Known::Answered(answer)),
        None => Err(Error::Malformed(format!("the key `{}` has no answer", request.key))),
    }
}

/// The answer that a request got before, without taking its key: so that what was done is not judged anew.
pub(crate) async fn recall<Q: Message, A: Message + Default>(
    connection: &mut PgConnection,
    caller: &Caller,
    key: &str,
    method: &str,
    request: &Q,
) -> Result<Option<A>, Error> {
    match Request::new(caller, key, method, request)? {
        Some(request) => request.answer(connection).await,
        None => Ok(None),
    }
}

impl Key {
    /// Records the answer, within the same transaction.
    pub(crate) async fn finish<A: Message>(
        self,
        connection: &mut PgConnection,
        answer: &A,
    ) -> Result<(), Error> {
        let Some(request) = self.0 else { return Ok(()) };
        let update = "UPDATE idempotency SET answer = $3 WHERE caller = $1 AND key = $2";
        let update = sqlx::query(update).bind(&request.caller).bind(&request.key);
        update.bind(answer.encode_to_vec()).execute(connection).await?;
        Ok(())
    }
}

impl Request {
    fn new<Q: Message>(
        caller: &Caller,
        key: &str,
        method: &str,
        request: &Q,
    ) -> Result<Option<Self>, Error> {
        if key.is_empty() {
            return Ok(None);
        }
        if key.chars().count() > LONGEST_KEY || key.contains(char::is_control) {
            let message = format!(
                "it takes {LONGEST_KEY} characters at most, none of them a control character"
            );
            return Err(Error::InvalidValue { field: "idempotency_key".to_owned(), message });
        }
        let digest = Sha256::new().chain_update(method).chain_update(request.encode_to_vec());
        let digest = digest.finalize().to_vec();
        // Whoever acts as somebody else is not told what that user was answered.
        let ids: Vec<_> = caller.principals().map(|it| it.system_user_id.to_string()).collect();
        Ok(Some(Self { caller: ids.join("/"), key: key.to_owned(), digest }))
    }

    async fn answer<A: Message + Default>(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<A>, Error> {
        let find = "SELECT digest = $3, answer FROM idempotency
                    WHERE caller = $1 AND key = $2 AND create_time >= now() - interval '24 hours'";
        let find = sqlx::query_as(find).bind(&self.caller).bind(&self.key).bind(&self.digest);
        let found: Option<(bool, Option<Vec<u8>>)> = find.fetch_optional(connection).await?;
        match found {
            Some((false, _)) => Err(Error::KeyReused(self.key.clone())),
            Some((true, Some(answer))) => A::decode(answer.as_slice())
                .map(Some)
                .map_err(|error| Error::Malformed(error.to_string())),
            Some((true, None)) | None => Ok(None),
        }
    }
}
