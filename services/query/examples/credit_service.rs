//! A business-logic service: raises a customer's credit limit, where that is sound
//! (docs/how-to-write-business-logic.md).
//!
//! `cargo run -p query --example credit_service -- 127.0.0.1:9100 .tombolo/services.json`

use std::net::SocketAddr;
use std::sync::Arc;

use futures::channel::mpsc::{Receiver, Sender, channel};
use futures::sink::SinkExt as _;
use proto::business_logic::v1::business_logic_service_server::{
    BusinessLogicService, BusinessLogicServiceServer,
};
use proto::business_logic::v1::perform_action_request::Step as Asked;
use proto::business_logic::v1::perform_action_response::Step as Answer;
use proto::business_logic::v1::{PerformActionRequest, PerformActionResponse, Return, RunAction};
use proto::query::v1 as pb;
use proto::query::v1::operation::Operation;
use proto::query::v1::operation_result::Result as Outcome;
use proto::query::v1::value::Kind;
use rpc::{ServiceKeySet, TrustedServices};
use rust_decimal::Decimal;
use tonic::{Request, Response, Status, Streaming};

/// By which the adapter knows this service, and for which its tokens are.
const NAME: &str = "credit";
const CUSTOMERS: &str = "CustCustomerV3Entity";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9100".to_owned());
    let address: SocketAddr = address.parse()?;
    let trusted = match std::env::args().nth(2) {
        Some(file) => {
            let keys = ServiceKeySet::from_json(&std::fs::read_to_string(file)?)?;
            Some(Arc::new(TrustedServices::of(&keys)?))
        }
        None => None,
    };
    let only_the_adapter = move |request| check(trusted.as_deref(), request);
    let service = BusinessLogicServiceServer::with_interceptor(CreditService, only_the_adapter);
    tonic::transport::Server::builder().add_service(service).serve(address).await?;
    Ok(())
}

/// Only the adapter's calls, where the keys of the environment's services are known.
pub(crate) fn check(
    trusted: Option<&TrustedServices>,
    request: Request<()>,
) -> Result<Request<()>, Status> {
    let Some(trusted) = trusted else { return Ok(request) };
    let token = request.metadata().get("authorization").and_then(|it| it.to_str().ok());
    let token = token.and_then(|it| it.strip_prefix("Bearer "));
    match token.and_then(|it| trusted.verify(it, NAME)).as_deref() {
        Some("query") => Ok(request),
        _ => Err(Status::unauthenticated("only the adapter may call")),
    }
}

#[derive(Debug)]
pub(crate) struct CreditService;

type Answered = Result<PerformActionResponse, Status>;

#[tonic::async_trait]
impl BusinessLogicService for CreditService {
    type PerformActionStream = Receiver<Answered>;

    async fn perform_action(
        &self,
        request: Request<Streaming<PerformActionRequest>>,
    ) -> Result<Response<Receiver<Answered>>, Status> {
        let mut asked = request.into_inner();
        let Some(Asked::Run(run)) = asked.message().await?.and_then(|it| it.step) else {
            return Err(Status::internal("the call does not begin with what is to be run"));
        };
        if run.action != "RaiseCreditLimit" {
            return Err(Status::unimplemented(format!("there is no action {}", run.action)));
        }
        let (answers, stream) = channel(1);
        let mut talk = Talk { asked, answers: answers.clone() };
        tokio::spawn(async move {
            let done = raise_credit_limit(&run, &mut talk).await;
            let answer = done.map(|limit| {
                let result = Some(pb::Value { kind: Some(decimal(limit)) });
                PerformActionResponse { step: Some(Answer::Return(Return { result })) }
            });
            let mut answers = answers;
            // Whoever asked may have gone: then nothing of it is done.
            let _ = answers.send(answer).await;
        });
        Ok(Response::new(stream))
    }
}

/// No limit above that of the customer who pays, and none for who is on hold.
async fn raise_credit_limit(run: &RunAction, talk: &mut Talk) -> Result<Decimal, Status> {
    let amount = number(&run.parameters, "Amount")?;
    if amount <= Decimal::ZERO {
        return Err(Status::invalid_argument("The limit is raised by a positive amount."));
    }
    if text(&run.row, "OnHoldStatus") != Some("No") {
        let message = "The customer is on hold; its credit limit cannot be raised.";
        return Err(Status::failed_precondition(message));
    }
    let limit = number(&run.row, "CreditLimit")?
        .checked_add(amount)
        .ok_or_else(|| Status::invalid_argument("The limit would be too large."))?;
    if let Some(payer) = text(&run.row, "InvoiceAccount").filter(|it| !it.is_empty()) {
        let company = text(&run.row, "dataAreaId").unwrap_or_default();
        let most = talk.credit_limit_of(company, payer).await?;
        if limit > most {
            let message = format!("Customer {payer}, who pays, has a limit of {most} itself.");
            return Err(Status::failed_precondition(message));
        }
    }
    let update = pb::UpdateRequest {
        entity_name: CUSTOMERS.to_owned(),
        key: Some(pb::RecordKey {
            key: Some(pb::record_key::Key::RecordId(run.record_id.clone())),
        }),
        values: vec![field("CreditLimit", decimal(limit))],
        ..Default::default()
    };
    talk.operate(Operation::Update(update)).await?;
    Ok(limit)
}

/// The other end of the call.
struct Talk {
    asked: Streaming<PerformActionRequest>,
    answers: Sender<Answered>,
}

impl Talk {
    /// Has Tombolo do something in the action's transaction. It ends the call where it cannot be done.
    async fn operate(&mut self, operation: Operation) -> Result<Outcome, Status> {
        let operations = vec![pb::Operation { operation: Some(operation) }];
        let step = Some(Answer::Operations(pb::Operations { operations }));
        let gone = || Status::cancelled("nobody waits for the action any more");
        self.answers.send(Ok(PerformActionResponse { step })).await.map_err(|_| gone())?;
        match self.asked.message().await?.and_then(|it| it.step) {
            Some(Asked::Results(results)) => {
                results.results.into_iter().next().and_then(|it| it.result).ok_or_else(gone)
            }
            _ => Err(gone()),
        }
    }

    async fn credit_limit_of(&mut self, company: &str, account: &str) -> Result<Decimal, Status> {
        let key = pb::AlternateKeyValues {
            values: vec![
                field("dataAreaId", Kind::StringValue(company.to_owned())),
                field("CustomerAccount", Kind::StringValue(account.to_owned())),
            ],
        };
        let column = pb::column_ref::Column::Field("CreditLimit".to_owned());
        let request = pb::RetrieveRequest {
            entity_name: CUSTOMERS.to_owned(),
            key: Some(pb::RecordKey { key: Some(pb::record_key::Key::Alternate(key)) }),
            columns: vec![pb::OutputColumn {
                column: Some(pb::ColumnRef { column: Some(column), ..Default::default() }),
                key: "CreditLimit".to_owned(),
                ..Default::default()
            }],
            format: pb::RowFormat::Columns.into(),
            ..Default::default()
        };
        let unreadable = || Status::internal("the credit limit cannot be read");
        let Outcome::Retrieve(answer) = self.operate(Operation::Retrieve(request)).await? else {
            return Err(unreadable());
        };
        let rows = answer.batch.and_then(|it| it.rows);
        let Some(pb::row_batch::Rows::Columns(batch)) = rows else { return Err(unreadable()) };
        let column = batch.columns.into_iter().next().ok_or_else(unreadable)?;
        match column.values {
            // Who was given no limit gives none.
            _ if !column.nulls.is_empty() => Ok(Decimal::ZERO),
            Some(pb::column_values::Values::Decimals(digits)) => {
                let digits = digits.values.first().ok_or_else(unreadable)?;
                digits.parse().map_err(|_| unreadable())
            }
            _ => Err(unreadable()),
        }
    }
}

fn find<'v>(values: &'v [pb::FieldValue], name: &str) -> Option<&'v Kind> {
    values.iter().find(|it| it.field == name)?.value.as_ref()?.kind.as_ref()
}

fn text<'v>(values: &'v [pb::FieldValue], name: &str) -> Option<&'v str> {
    match find(values, name) {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// Amounts travel as digits. Null and what is not given are zero.
fn number(values: &[pb::FieldValue], name: &str) -> Result<Decimal, Status> {
    match find(values, name) {
        Some(Kind::DecimalValue(digits)) => digits
            .parse()
            .map_err(|_| Status::invalid_argument(format!("{name} has too many digits."))),
        Some(Kind::Int64Value(whole)) => Ok(Decimal::from(*whole)),
        _ => Ok(Decimal::ZERO),
    }
}

fn decimal(it: Decimal) -> Kind {
    Kind::DecimalValue(it.to_string())
}

fn field(name: &str, kind: Kind) -> pb::FieldValue {
    pb::FieldValue { field: name.to_owned(), value: Some(pb::Value { kind: Some(kind) }) }
}
