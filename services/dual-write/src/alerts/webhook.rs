//! Telling an address over HTTP. Whoever writes a rule names the address, so this service must not be sent
//! to where its network lets it and others not: only `https`, only public addresses, unless the operator
//! names the host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url, redirect};

use super::deliver::Undelivered;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The address, if it may be called; else why not. `plain_hosts` are those that the operator trusts,
/// `HOST` or `HOST:PORT`.
pub(super) fn check(url: &str, plain_hosts: &[String]) -> Result<Url, &'static str> {
    let url = Url::parse(url).map_err(|_| "is no URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not name a user");
    }
    let host = url.host_str().ok_or("names no host")?;
    let trusted = is_trusted(&url, plain_hosts);
    match url.scheme() {
        "https" => {}
        "http" if trusted => {}
        _ => return Err("must begin with https://"),
    }
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
    match literal {
        Ok(address) if !trusted && !is_public(address) => Err("leads into a private network"),
        _ => Ok(url),
    }
}

/// Posts `body`, without following where the answer points to.
pub(super) async fn post(
    url: &str,
    body: String,
    plain_hosts: &[String],
) -> Result<(), Undelivered> {
    let url =
        check(url, plain_hosts).map_err(|it| Undelivered::Lasting(format!("the address {it}")))?;
    let client = client(&url, plain_hosts).await?;
    let request = client.post(url).header(CONTENT_TYPE, "application/json").body(body);
    let answer = request.send().await.map_err(|error| {
        // The URL may hold a secret, and the cause tells of the network.
        tracing::debug!(error = %error.without_url(), "an alert's webhook cannot be reached");
        Undelivered::Passing("the host cannot be reached".to_owned())
    })?;
    let told = format!("the host answered {}", answer.status());
    match answer.status() {
        it if it.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Err(Undelivered::Passing(told))
        }
        it if it.is_server_error() => Err(Undelivered::Passing(told)),
        _ => Err(Undelivered::Lasting(told)),
    }
}

/// Goes to the addresses that were looked at, and to no other that the name may mean a moment later.
async fn client(url: &Url, plain_hosts: &[String]) -> Result<Client, Undelivered> {
    let host = url.host_str().unwrap_or_default();
    let mut builder =
        Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).no_proxy();
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
        let port = url.port_or_known_default().unwrap_or(443);
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|_| Undelivered::Passing("the host is not known".to_owned()))?;
        let trusted = is_trusted(url, plain_hosts);
        let may = |it: &SocketAddr| trusted || is_public(it.ip());
        let addresses: Vec<SocketAddr> = found.filter(may).collect();
        if addresses.is_empty() {
            let told = "the address leads into a private network".to_owned();
            return Err(Undelivered::Lasting(told));
        }
        builder = builder.resolve_to_addrs(host, &addresses);
    }
    builder.build().map_err(|error| {
        tracing::error!(%error, "webhooks cannot be called");
        Undelivered::Passing("webhooks cannot be called".to_owned())
    })
}

fn is_trusted(url: &Url, plain_hosts: &[String]) -> bool {
    let host = url.host_str().unwrap_or_default();
    let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    plain_hosts.iter().any(|it| {
        it.eq_ignore_ascii_case(&with_port) || url.port().is_none() && it.eq_ignore_ascii_case(host)
    })
}

/// Whether anybody on the internet could call it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => match embedded(it) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(it),
        },
    }
}

fn is_public_v4(it: Ipv4Addr) -> bool {
    let [a, b, c, _] = it.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let special =
        a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || a == 198 && (18..20).contains(&b);
    let nowhere = it.is_unspecified() || it.is_broadcast() || it.is_documentation();
    !(it.is_private() || it.is_loopback() || it.is_link_local() || it.is_multicast())
        && !(shared || special || nowhere)
}

fn is_public_v6(it: Ipv6Addr) -> bool {
    let documentation = it.segments()[..2] == [0x2001, 0xdb8];
    // Global unicast is 2000::/3; everything else is local, multicast or reserved.
    it.segments()[0] & 0xe000 == 0x2000 && !documentation
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated (64:ff9b::/96) or 6to4.
fn embedded(it: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = it.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => Some(of(g, h)),
        (0x2002, _) => Some(of(b, c)),
        _ => it.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_https_unless_the_operator_names_the_host() {
        let hosts = ["127.0.0.1:9000".to_owned(), "hooks.internal".to_owned()];
        let test = |url: &str, good: bool| assert_eq!(check(url, &hosts).is_ok(), good, "{url}");
        test("https://hooks.test/a?token=b", true);
        test("http://hooks.test/", false);
        test("http://127.0.0.1:9000/", true);
        test("http://127.0.0.1:9001/", false);
        test("https://127.0.0.1/", false);
        test("http://hooks.internal/", true);
        test("https://user:secret@hooks.test/", false);
        test("https://10.0.0.1/", false);
        test("https://[::1]/", false);
        test("https://0x7f000001/", false);
        test("https://2130706433/", false);
        test("https://8.8.8.8/", true);
        test("ftp://hooks.test/", false);
        test("nonsense", false);
    }

    #[test]
    fn private_addresses_are_known_in_every_dress() {
        let test = |address: &str, public: bool| {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        };
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            test(private, false);
        }
        for public in ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            test(public, true);
        }
    }
}
