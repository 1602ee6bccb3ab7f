//! One operation that is all.

use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Answer;
use tonic::Status;

use super::super::change_set::{Outcome, Step};
use super::attempt::Stores;
use super::messages::{self, Sent};
use super::run::Run;
use super::{Context, Refusal, lookups, refusal};

pub(super) async fn run(context: Context<'_>, step: &Step) -> Result<Outcome, Refusal> {
    let (operation, sent) = operation(context, step).await?;
    let key = context.once.map(|it| it.key.clone()).unwrap_or_default();
    let answer = call(context, step, operation, key).await;
    let answer = answer.map_err(|status| {
        if refusal::is_overdue(&status) {
            return Refusal::of_all(refusal::pending());
        }
        Refusal::of_status(&status, 0, refusal::of_step(&status, step, sent.row.as_ref()))
    })?;
    messages::outcome(&answer, &sent).ok_or_else(|| Refusal::of_all(refusal::senseless()))
}

/// The step as the store gets it.
pub(super) async fn operation(
    context: Context<'_>,
    step: &Step,
) -> Result<(Operation, Sent), Refusal> {
    let mut run = Run::new(context, Stores::default());
    let row = match messages::row(&step.action) {
        Some(row) => Some(run.key(0, row).await?),
        None => None,
    };
    let values = lookups::values(&mut run, 0, step, row.as_ref()).await?;
    let operation = messages::operation(step, row.as_ref(), values);
    let operation = operation.ok_or_else(|| Refusal::of_all(refusal::senseless()))?;
    Ok((operation, Sent { step: 0, row, judged: false }))
}

async fn call(
    Context { ways, call, .. }: Context<'_>,
    step: &Step,
    operation: Operation,
    idempotency_key: String,
) -> Result<Answer, Status> {
    let (providers, source) = (&ways.providers, step.table.source);
    Ok(match operation {
        Operation::Create(it) => {
            let request = pb::CreateRequest { idempotency_key, ..it };
            Answer::Create(providers.create(call, source, request).await?)
        }
        Operation::Update(it) => {
            let request = pb::UpdateRequest { idempotency_key, ..it };
            Answer::Update(providers.update(call, source, request).await?)
        }
        Operation::Upsert(it) => {
            let request = pb::UpsertRequest { idempotency_key, ..it };
            Answer::Upsert(providers.upsert(call, source, request).await?)
        }
        Operation::Delete(it) => {
            let request = pb::DeleteRequest { idempotency_key, ..it };
            Answer::Delete(providers.delete(call, source, request).await?)
        }
        Operation::PerformAction(it) => {
            let request = pb::PerformActionRequest { idempotency_key, ..it };
            Answer::PerformAction(providers.perform_action(call, source, request).await?)
        }
        Operation::Retrieve(it) => {
            let batch = Some(providers.retrieve(call, source, it).await?);
            Answer::Retrieve(pb::RetrieveResponse { batch })
        }
    })
}
