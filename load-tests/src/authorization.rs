//! What knowing and judging the caller costs a warm call: the gateway's session, the callee's gate, and
//! the grant with its row policies. Everything runs in this process, and nothing else does.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use futures::future::{Ready, ready};
use hdrhistogram::Histogram;
use proto::user_context::v1::{EntityGrant, Operation, RoleGrants, WatchTrustResponse};
use provider::{Binding, Grant};
use rpc::{
    AssertionIssuer, AssertionVerifier, CALLER_HEADER, Channel, Companies, Environment, Identity,
    Principal, Route, Server, SigningKey,
};
use sha2::{Digest as _, Sha256};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tower::{Service, ServiceExt as _};
use uuid::Uuid;

const WARM_UP: usize = 2_000;
/// Calls between two looks at the clock, which costs as much as some of what is measured.
const TOGETHER: u64 = 20;
const ENTITY: &str = "CustCustomerV3Entity";
const ROLE: &str = "Portal customer";
/// In front of the row policies of the demo ERP.
const BOUND: &str = "CDSVirtualEntityAuthorizedPortalUser";

/// How long each part takes, in nanoseconds.
#[derive(Debug)]
pub struct Cost {
    /// From the bearer token to the session: its digest, what is known of it, the gateway's own assertion.
    pub session: Histogram<u64>,
    /// A call through a gate that verifies the service's token and the user's assertion.
    pub guarded: Histogram<u64>,
    /// The same call through a gate that lets everybody in.
    pub open: Histogram<u64>,
    /// Leave to read an entity with a row policy, hidden fields and a legal entity.
    pub grant: Histogram<u64>,
}

impl Cost {
    /// All of it, at the median.
    #[must_use]
    pub fn nanoseconds(&self) -> u64 {
        let median = |it: &Histogram<u64>| it.value_at_quantile(0.5);
        let gate = median(&self.guarded).saturating_sub(median(&self.open));
        median(&self.session) + gate + median(&self.grant)
    }
}

/// Measures for some time.
pub async fn measure(duration: Duration) -> Result<Cost> {
    let issuer = AssertionIssuer::new(SigningKey::generate()?.0, Duration::from_secs(3_600));
    let trust = WatchTrustResponse {
        revision: 1,
        jwks: issuer.jwks()?,
        roles: vec![RoleGrants { role: ROLE.to_owned(), grants: vec![grant()] }],
        revocations: Vec::new(),
    };
    let assertion = |audience| -> Result<String> {
        let route = Route { audience, presenter: "gateway" };
        let limit = SystemTime::now() + Duration::from_secs(3_600);
        Ok(issuer.issue(Identity::of(principal()), route, 1, limit)?.0)
    };
    let sessions = Sessions::new(&trust, assertion("gateway")?)?;
    let gates = Gates::new(&trust, &assertion("query")?)?;
    let verifier = AssertionVerifier::new("query");
    verifier.apply(&trust).context("the trust")?;
    let caller = verifier.verify(&assertion("query")?, "gateway")?;
    let binding = binding()?;

    let mut cost = Cost {
        session: Histogram::new(3)?,
        guarded: Histogram::new(3)?,
        open: Histogram::new(3)?,
        grant: Histogram::new(3)?,
    };
    for _ in 0..WARM_UP {
        sessions.find().await?;
        gates.call(true).await?;
        gates.call(false).await?;
        Grant::read(&caller, Arc::clone(&binding)).context("refused")?;
    }
    let end = Instant::now() + duration;
    // In turns, so that all see the machine as it is at the time.
    while Instant::now() < end {
        let started = Instant::now();
        for _ in 0..TOGETHER {
            sessions.find().await?;
        }
        cost.session.record(each(started))?;
        for (guarded, histogram) in [(true, &mut cost.guarded), (false, &mut cost.open)] {
            let started = Instant::now();
            for _ in 0..TOGETHER {
                gates.call(guarded).await?;
            }
            histogram.record(each(started))?;
        }
        let started = Instant::now();
        for _ in 0..TOGETHER {
            std::hint::black_box(Grant::read(&caller, Arc::clone(&binding)).context("refused")?);
        }
        cost.grant.record(each(started))?;
    }
    Ok(cost)
}

fn each(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX) / TOGETHER
}

fn principal() -> Principal {
    Principal {
        system_user_id: Uuid::from_u128(1),
        name: "usmf-portal".to_owned(),
        erp_user: "portal".to_owned(),
        roles: vec![ROLE.to_owned(), BOUND.to_owned()],
        companies: Companies::Only(vec!["USMF".to_owned(), "DEMF".to_owned()]),
        contact: Some(Uuid::from_u128(2)),
    }
}

fn grant() -> EntityGrant {
    EntityGrant {
        entities: vec![ENTITY.to_owned()],
        operations: vec![Operation::Read.into()],
        hidden_fields: vec!["CreditLimit".to_owned(), "Notes".to_owned()],
        ..EntityGrant::default()
    }
}

fn binding() -> Result<Arc<Binding>> {
    let model = model::load(&tests::workspace().join("models/demo"))?;
    let entity = model.entities.iter().find(|it| it.name == ENTITY).context("no such entity")?;
    ensure!(!entity.policies.is_empty(), "the entity has no row policy");
    let described = provider::data_entity(&model, entity, 1, |_, member| {
        i32::try_from(member.symbol.len()).unwrap_or_default()
    });
    Ok(Arc::new(Binding::try_from(described)?))
}

/// What the gateway does with a token that it has seen.
struct Sessions {
    token: String,
    known: moka::future::Cache<[u8; 32], Arc<String>>,
    verifier: AssertionVerifier,
    assertion: Arc<String>,
}

impl Sessions {
    fn new(trust: &WatchTrustResponse, assertion: String) -> Result<Self> {
        let verifier = AssertionVerifier::new("gateway");
        verifier.apply(trust).context("the trust")?;
        let known = moka::future::Cache::builder().max_capacity(20_000).build();
        // As long as real ones are.
        Ok(Self { token: "t".repeat(1_800), known, verifier, assertion: Arc::new(assertion) })
    }

    async fn find(&self) -> Result<()> {
        let digest: [u8; 32] = Sha256::digest(self.token.as_bytes()).into();
        let assertion = self.known.get_with(digest, ready(Arc::clone(&self.assertion))).await;
        std::hint::black_box(self.verifier.verify_with_news(&assertion, "gateway").await?);
        Ok(())
    }
}

/// The same service behind two gates.
struct Gates {
    guarded: Channel,
    open: Channel,
    assertion: String,
}

impl Gates {
    fn new(trust: &WatchTrustResponse, assertion: &str) -> Result<Self> {
        let environment = Environment::generate();
        let verifier = Arc::new(AssertionVerifier::new("query"));
        verifier.apply(trust).context("the trust")?;
        let identity = environment.identity("gateway")?;
        let (guarded, _) = environment.server("query", verifier).with(Nothing).build()?;
        let (open, _) = Server::public().with(Nothing).build()?;
        Ok(Self {
            guarded: Channel::local(guarded, "query", &identity),
            open: Channel::local(open, "query", &identity),
            assertion: assertion.to_owned(),
        })
    }

    async fn call(&self, guarded: bool) -> Result<()> {
        let channel = if guarded { &self.guarded } else { &self.open };
        let request = Request::post("/tombolo.query.v1.DataProviderService/RetrieveMultiple")
            .header("content-type", "application/grpc")
            .header(CALLER_HEADER, &self.assertion)
            .body(Body::empty())?;
        let answer = channel.clone().oneshot(request).await;
        let answer = answer.map_err(|it| anyhow::anyhow!("{it}"))?;
        ensure!(answer.headers().contains_key("x-nothing"), "refused: {:?}", answer.headers());
        Ok(())
    }
}

/// A service that does nothing.
#[derive(Clone, Copy, Debug)]
struct Nothing;

impl NamedService for Nothing {
    const NAME: &'static str = "tombolo.query.v1.DataProviderService";
}

impl Service<Request<Body>> for Nothing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut response = Response::new(Body::empty());
        response
            .headers_mut()
            .insert("x-nothing", tonic::codegen::http::HeaderValue::from_static("1"));
        ready(Ok(response))
    }
}
