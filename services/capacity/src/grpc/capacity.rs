//! Capacity, for administrators.

use chrono::{DateTime, TimeDelta, Utc};
use proto::capacity::v1 as pb;
use proto::capacity::v1::capacity_service_server::CapacityService;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Service, check_reader, convert, reservation};
use crate::audit;
use crate::error::Error;
use crate::forecast::{Point, forecast};
use crate::names;
use crate::operations::Operation;
use crate::page_token::Page;
use crate::pool::Pool;
use crate::store::samples::{self, TENANT};
use crate::store::{self, book, notices, usage};

const DEFAULT_WINDOW: TimeDelta = TimeDelta::days(30);
/// As long as samples are kept.
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(400);
/// Of the caller's time, what is kept to record and to answer.
const RESERVE: std::time::Duration = std::time::Duration::from_secs(2);

#[tonic::async_trait]
impl CapacityService for Service {
    async fn get_capacity(
        &self,
        request: Request<pb::GetCapacityRequest>,
    ) -> Result<Response<pb::GetCapacityResponse>, Status> {
        check_reader(&request)?;
        let book = book::read(&mut *self.state.store.read().await?).await?;
        let standing = book.standing();
        let in_overage = !standing.overage().is_empty();
        let blocked = Operation::ALL.into_iter().filter(|_| in_overage);
        let period = self.state.sampler.period();
        Ok(Response::new(pb::GetCapacityResponse {
            pools: Pool::ALL.map(|it| convert::pool_capacity(&standing, it)).to_vec(),
            in_overage,
            blocked_operations: blocked.map(convert::operation).collect(),
            measure_time: book.oldest_measurement().map(convert::time),
            sampling_period: prost_types::Duration::try_from(period).ok(),
        }))
    }

    async fn list_entitlements(
        &self,
        request: Request<pb::ListEntitlementsRequest>,
    ) -> Result<Response<pb::ListEntitlementsResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let pool = convert::read_pool("pool", request.pool)?;
        let page = Page::<(i16, u8, Option<String>)>::read(
            "entitlements",
            request.page_size,
            &request.page_token,
        )?;
        let book = book::read(&mut *self.state.store.read().await?).await?;
        let all =
            book.entitlements().into_iter().filter(|it| pool.is_none_or(|pool| it.pool == pool));
        let key = |it: &crate::entitlement::Entitlement| {
            (it.pool.number(), it.source as u8, it.accrual.clone())
        };
        let (found, next_page_token) = page.of_all(all, key);
        let entitlements = found.into_iter().map(convert::entitlement).collect();
        Ok(Response::new(pb::ListEntitlementsResponse { entitlements, next_page_token }))
    }

    async fn list_environment_usages(
        &self,
        request: Request<pb::ListEnvironmentUsagesRequest>,
    ) -> Result<Response<pb::ListEnvironmentUsagesResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let page =
            Page::<String>::read("environment-usages", request.page_size, &request.page_token)?;
        let book = book::read(&mut *self.state.store.read().await?).await?;
        let (found, next_page_token) = page.of_all(book.usages(), |it| it.environment.clone());
        let environment_usages = found.into_iter().map(convert::usage).collect();
        let answer = pb::ListEnvironmentUsagesResponse { environment_usages, next_page_token };
        Ok(Response::new(answer))
    }

    async fn list_table_usages(
        &self,
        request: Request<pb::ListTableUsagesRequest>,
    ) -> Result<Response<pb::ListTableUsagesResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let pool = convert::read_pool("pool", request.pool)?;
        let page = Page::<(i64, String, String)>::read(
            "table-usages",
            request.page_size,
            &request.page_token,
        )?;
        let mut read = self.state.store.read().await?;
        let parent = request.parent.as_str();
        if !names::is_environment(parent) {
            return Err(Error::NotFound(names::shown(parent)).into());
        }
        if usage::knows_tables(&mut read, parent).await? != Some(true) {
            drop(read);
            return Err(self.state.sampler.why_unmeasured(parent).await.into());
        }
        let (after, limit) = (page.after.as_ref(), page.limit());
        let found = usage::tables(&mut read, parent, pool, after, limit).await?;
        let key = |it: &crate::tables::TableSize| (it.bytes, it.schema.clone(), it.table.clone());
        let (found, next_page_token) = page.cut(found, key);
        let table_usages = found.into_iter().map(convert::table).collect();
        Ok(Response::new(pb::ListTableUsagesResponse { table_usages, next_page_token }))
    }

    async fn list_usage_samples(
        &self,
        request: Request<pb::ListUsageSamplesRequest>,
    ) -> Result<Response<pb::ListUsageSamplesResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let page =
            Page::<DateTime<Utc>>::read("usage-samples", request.page_size, &request.page_token)?;
        let mut read = self.state.store.read().await?;
        let now = store::now(&mut read).await?;
        let span = span(request, now)?;
        let parent = request.parent.as_str();
        let known = parent == TENANT
            || names::is_environment(parent) && samples::is_known(&mut read, parent).await?;
        if !known {
            return Err(Error::NotFound(names::shown(parent)).into());
        }
        let found = samples::list(&mut read, parent, span, page.after, page.limit()).await?;
        let (found, next_page_token) = page.cut(found, |it| it.time);
        let usage_samples = found.into_iter().map(convert::sample).collect();
        Ok(Response::new(pb::ListUsageSamplesResponse { usage_samples, next_page_token }))
    }

    async fn measure_usage(
        &self,
        request: Request<pb::MeasureUsageRequest>,
    ) -> Result<Response<pb::MeasureUsageResponse>, Status> {
        let context = check_reader(&request)?;
        let environment = request.into_inner().environment;
        let only = Some(environment.as_str()).filter(|it| !it.is_empty());
        let remaining = context.remaining().saturating_sub(RESERVE);
        let deadline = tokio::time::Instant::now() + remaining;
        let outcome = self.state.sampler.measure(only, deadline).await;
        let outcome = outcome.and_then(|run| match run.failed.is_empty() {
            true => Ok(run.samples),
            false => Err(Error::MeterUnavailable),
        });
        let result = outcome.as_ref().map(drop);
        audit::wrote(Some(&context.caller), "MeasureUsage", &environment, result);
        let usage_samples = outcome?.into_iter().map(convert::sample).collect();
        Ok(Response::new(pb::MeasureUsageResponse { usage_samples }))
    }

    async fn check_operation(
        &self,
        request: Request<pb::CheckOperationRequest>,
    ) -> Result<Response<pb::CheckOperationResponse>, Status> {
        check_reader(&request)?;
        let request = request.into_inner();
        let decision = self.decision(request.operation, &request.amounts).await?;
        Ok(Response::new(pb::CheckOperationResponse {
            allowed: decision.refusal().is_none(),
            missing: convert::amounts(&decision.missing),
            in_overage: !decision.overage.is_empty(),
            message: reservation::message(&decision),
        }))
    }

    async fn forecast_capacity(
        &self,
        request: Request<pb::ForecastCapacityRequest>,
    ) -> Result<Response<pb::ForecastCapacityResponse>, Status> {
        check_reader(&request)?;
        let window = convert::read_span("window", request.get_ref().window, LONGEST_WINDOW)?;
        let mut read = self.state.store.read().await?;
        let book = book::read(&mut read).await?;
        let span = (book.now - window.unwrap_or(DEFAULT_WINDOW), book.now);
        let found = samples::list(&mut read, TENANT, span, None, i64::MAX).await?;
        let entitled = book.standing().entitled;
        let forecasts: Option<Vec<_>> = Pool::ALL
            .into_iter()
            .map(|pool| {
                let point =
                    |it: &samples::Sample| Point { time: it.time, bytes: it.amounts.get(pool) };
                let points: Vec<_> = found.iter().map(point).collect();
                let it = forecast(&points, entitled.get(pool), book.now)?;
                Some(convert::forecast(pool, &it))
            })
            .collect();
        let forecasts = forecasts.ok_or(Error::TooFewSamples)?;
        Ok(Response::new(pb::ForecastCapacityResponse { forecasts }))
    }

    async fn list_notices(
        &self,
        request: Request<pb::ListNoticesRequest>,
    ) -> Result<Response<pb::ListNoticesResponse>, Status> {
        check_reader(&request)?;
        let request = request.get_ref();
        let page =
            Page::<(DateTime<Utc>, Uuid)>::read("notices", request.page_size, &request.page_token)?;
        let mut read = self.state.store.read().await?;
        let (after, limit) = (page.after.as_ref(), page.limit());
        let found = notices::list(&mut read, request.active_only, after, limit).await?;
        let (found, next_page_token) = page.cut(found, |it| (it.begin_time, it.id));
        let notices = found.into_iter().map(convert::notice).collect();
        Ok(Response::new(pb::ListNoticesResponse { notices, next_page_token }))
    }
}

/// From when, and before when: the last 30 days where nothing is said.
fn span(
    request: &pb::ListUsageSamplesRequest,
    now: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Error> {
    let start = convert::read_time("start_time", request.start_time)?;
    let end = convert::read_time("end_time", request.end_time)?.unwrap_or(now);
    let start = start.unwrap_or(end - DEFAULT_WINDOW);
    match start < end {
        true => Ok((start, end)),
        false => Err(Error::invalid("end_time", "must be after the start")),
    }
}
