//! Where hosts are. Names below `localhost` are this machine's, whatever anybody's DNS says (RFC 6761, 6.3):
//! not every system's resolver knows, and what is sent there is not encrypted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's resolver, but for this machine's own names.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            if is_local_name(name.as_str()) {
                let own = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
                return Ok(Box::new(own.map(|it| SocketAddr::new(it, 0)).into_iter()) as Addrs);
            }
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether what is sent to a URL is read by nobody on the way.
pub(super) fn is_safe(url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    bare && url.host_str().is_some_and(|host| match url.scheme() {
        "https" => true,
        "http" => is_local(host),
        _ => false,
    })
}

fn is_local(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    is_local_name(host) || address.is_ok_and(|it| it.is_loopback())
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_machine_unencrypted() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_safe(&Url::parse(text).unwrap()), expected, "{text}");
        };
        check("https://org.test/", true);
        check("http://org.test/", false);
        check("http://contoso.localhost:8080/", true);
        check("http://LOCALHOST/", true);
        check("http://127.0.0.1:1/", true);
        check("http://[::1]:1/", true);
        check("http://notlocalhost/", false);
        check("http://localhost.test/", false);
        check("https://user@org.test/", false);
        check("ftp://localhost/", false);
    }
}
