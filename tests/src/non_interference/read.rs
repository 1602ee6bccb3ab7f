//! What viewers read, of every kind.

use anyhow::{Context as _, Result};
use reqwest::Method;

use super::odd;
use super::remote;
use super::transcript::Transcript;
use super::viewer::Viewer;
use super::world::World;
use crate::differential::{fetch, odata};
use crate::random::Random;
use crate::{Answer, Web};

/// Pages that are followed.
const MOST_PAGES: usize = 60;

/// A read. The number is of the side whose rows it knows of.
#[derive(Clone, Debug)]
pub enum Read {
    /// Rows, expanded rows, lambdas, groups, counts, pages.
    OData(usize, odata::Query),
    /// Links, groups, distinct rows, pages.
    Fetch(usize, fetch::Query),
    /// Anything else over HTTP.
    Http(odd::Request),
    /// Over gRPC.
    Remote(remote::Call),
}

impl Read {
    /// The same for the same seed.
    #[must_use]
    pub fn random(random: &mut Random, world: &World) -> Self {
        let side = random.below(2);
        let schema = &world.sides[side].schema;
        match random.below(10) {
            0..=2 => Self::OData(side, odata::Query::random(random, schema)),
            3..=5 => Self::Fetch(side, fetch::Query::random(random, schema)),
            6..=8 => Self::Http(odd::Request::random(random, world, side)),
            _ => Self::Remote(remote::Call::random(random, world, side)),
        }
    }

    /// Asks one of the systems.
    pub async fn ask(&self, world: &World, side: usize, viewer: &Viewer) -> Result<Transcript> {
        let web = &world.sides[side].webs[viewer.sender.name];
        self.ask_by(world, side, web, world.headers(viewer)).await
    }

    /// Asks one of the systems as who sees everything.
    pub async fn ask_as_admin(&self, world: &World, side: usize) -> Result<Transcript> {
        self.ask_by(world, side, &world.sides[side].admin, Vec::new()).await
    }

    async fn ask_by(
        &self,
        world: &World,
        side: usize,
        web: &Web,
        headers: Vec<(String, String)>,
    ) -> Result<Transcript> {
        let asked = &world.sides[side];
        let client = Client { web, headers, transcript: Transcript::new() };
        match self {
            Self::OData(knows, query) => {
                let path = query.path(&world.sets, &world.sides[*knows].schema);
                let prefer = match query.page_size {
                    Some(size) => format!("odata.maxpagesize={size}"),
                    None => r#"odata.include-annotations="*""#.to_owned(),
                };
                client.pages(&path, &prefer).await
            }
            Self::Fetch(knows, query) => {
                let schema = &world.sides[*knows].schema;
                client.fetch(|page| query.path(&world.sets, schema, page), query.page_size()).await
            }
            Self::Http(request) => client.request(request).await,
            Self::Remote(call) => {
                call.ask(&asked.system, web.token(), client.headers, client.transcript).await
            }
        }
    }

    /// The same with less in it.
    #[must_use]
    pub fn smaller(&self) -> Vec<Self> {
        match self {
            Self::OData(side, it) => {
                it.smaller().into_iter().map(|it| Self::OData(*side, it)).collect()
            }
            Self::Fetch(side, it) => {
                it.smaller().into_iter().map(|it| Self::Fetch(*side, it)).collect()
            }
            Self::Http(_) | Self::Remote(_) => Vec::new(),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self, world: &World) -> String {
        match self {
            Self::OData(side, it) => {
                let path = it.path(&world.sets, &world.sides[*side].schema);
                percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned()
            }
            Self::Fetch(side, it) => it.xml(&world.sides[*side].schema, None),
            Self::Http(it) => it.text(),
            Self::Remote(it) => format!("{it:?}"),
        }
    }
}

/// Asks as somebody, and keeps what was answered.
struct Client<'w> {
    web: &'w Web,
    headers: Vec<(String, String)>,
    transcript: Transcript,
}

impl Client<'_> {
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        let mut headers: Vec<_> =
            self.headers.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        headers.extend_from_slice(more);
        let answer = self.web.send_text(method, path, &headers, body.to_owned()).await?;
        self.transcript.answer(&answer, self.web.authority());
        Ok(answer)
    }

    /// All pages by their next links, until one is refused.
    async fn pages(mut self, path: &str, prefer: &str) -> Result<Transcript> {
        let mut next = Some(path.to_owned());
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { break };
            let answer = self.send(Method::GET, &path, &[("Prefer", prefer)], "").await?;
            let page = answer.parse().unwrap_or_default();
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        Ok(self.transcript)
    }

    /// All pages by their cookies.
    async fn fetch(
        mut self,
        path: impl Fn(Option<(usize, usize, &str)>) -> String,
        size: Option<usize>,
    ) -> Result<Transcript> {
        let prefer = [("Prefer", fetch::ANNOTATIONS)];
        let Some(size) = size else {
            self.send(Method::GET, &path(None), &prefer, "").await?;
            return Ok(self.transcript);
        };
        let mut cookie = String::new();
        for number in 1..=MOST_PAGES {
            let path = path(Some((size, number, &cookie)));
            let answer = self.send(Method::GET, &path, &prefer, "").await?;
            let page = answer.parse().unwrap_or_default();
            if page["@Microsoft.Dynamics.CRM.morerecords"] != true {
                break;
            }
            cookie = fetch::next_cookie(&page)?;
        }
        Ok(self.transcript)
    }

    async fn request(mut self, request: &odd::Request) -> Result<Transcript> {
        let headers: Vec<_> =
            request.headers.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        let answer =
            self.send(request.method.clone(), &request.path, &headers, &request.body).await?;
        // A delta link is followed: nothing has changed since.
        let body = answer.parse().unwrap_or_default();
        if let Some(link) = body["@odata.deltaLink"].as_str() {
            self.send(Method::GET, link, &[], "").await.context("the delta link")?;
        }
        Ok(self.transcript)
    }
}
