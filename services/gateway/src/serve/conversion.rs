//! FetchXML and the SDK's QueryExpression, each turned into the other (QE-03).

use axum::body::{Body, to_bytes};
use odata::{Aliases, Key, Literal, Parameter};
use serde_json::Value;

use super::functions::{missing, parameter, response_context, wrong_type};
use crate::error::GatewayError;
use crate::http::{Ask, Response, json, quoted};

const MAX_BODY: usize = 1 << 20;

/// `FetchXmlToQueryExpression(FetchXml=@p)?@p='<fetch>…'`.
pub(crate) fn fetch_xml_to_query_expression(
    ask: &Ask,
    key: &Key,
    aliases: &Aliases,
) -> Result<Response, GatewayError> {
    let text = document(key, aliases)?;
    let query = fetchxml::to_json(&fetchxml::parse(&text)?)?;
    let context = response_context(ask, "FetchXmlToQueryExpression");
    Ok(json(format!("{{\"@odata.context\":{context},\"Query\":{query}}}")))
}

/// `QueryExpressionToFetchXml` with `{"Query": …}`.
pub(crate) async fn query_expression_to_fetch_xml(
    ask: &Ask,
    body: Body,
) -> Result<Response, GatewayError> {
    let body = tokio::time::timeout_at(ask.deadline.at().into(), to_bytes(body, MAX_BODY)).await;
    let body = body.map_err(|_| GatewayError::Timeout)?;
    let body = body.map_err(|_| GatewayError::BodyTooLarge(MAX_BODY))?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| GatewayError::InvalidDocument(error.to_string()))?;
    let query = body.get("Query").ok_or_else(|| missing("Query"))?;
    let text = fetchxml::print(&fetchxml::from_json(query)?)?;
    let context = response_context(ask, "QueryExpressionToFetchXml");
    Ok(json(format!("{{\"@odata.context\":{context},\"FetchXml\":{}}}", quoted(&text))))
}

/// The parameter `FetchXml`, given in the parentheses or by an alias.
fn document(key: &Key, aliases: &Aliases) -> Result<String, GatewayError> {
    const NAME: &str = "FetchXml";
    match parameter(key, aliases, NAME)? {
        Some(Parameter::Literal(Literal::String(text))) => Ok(text),
        Some(_) => Err(wrong_type(NAME, "Edm.String")),
        None => Err(missing(NAME)),
    }
}
