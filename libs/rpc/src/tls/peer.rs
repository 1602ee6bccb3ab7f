//! Which service a certificate belongs to.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};

use crate::permitted;

/// The service that the DNS names of a (verified) certificate begin with, as `gateway` or
/// `gateway.tombolo.svc`. One that could be two services is none.
pub(crate) fn service_of(certificate: &CertificateDer<'_>) -> Option<Arc<str>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let mut services = certificate
        .valid_dns_names()
        .filter_map(|it| it.split('.').next())
        .map(str::to_ascii_lowercase)
        .filter(|it| permitted::is_known(it));
    let service = services.next()?;
    services.all(|it| it == service).then(|| service.into())
}

/// Whether a certificate is one for this host.
pub(super) fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return false };
    ServerName::try_from(host)
        .is_ok_and(|it| certificate.verify_is_valid_for_subject_name(&it).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_of_a_dns_name_is_the_service() {
        let check = |names: &[&str], expected: Option<&str>| {
            let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
            let certified = rcgen::generate_simple_self_signed(names.clone()).unwrap();
            assert_eq!(service_of(certified.cert.der()).as_deref(), expected, "{names:?}");
        };
        check(&["gateway"], Some("gateway"));
        check(&["localhost", "query.tombolo.svc.cluster.local", "query"], Some("query"));
        check(&["User-Context.tombolo.svc"], Some("user-context"));
        check(&["gateway.tombolo.svc", "query.tombolo.svc"], None);
        check(&["*.tombolo.svc"], None);
        check(&["tombolo.gateway", "127.0.0.1"], Some("tombolo"));
        check(&["somebody.example"], None);
        check(&["127.0.0.1"], None);
        check(&[], None);
    }

    #[test]
    fn a_certificate_is_for_the_hosts_it_names() {
        let names = vec!["localhost".to_owned(), "192.0.2.1".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let check = |host: &str, expected: bool| {
            assert_eq!(is_for(certified.cert.der(), host), expected, "{host}");
        };
        check("localhost", true);
        check("192.0.2.1", true);
        check("192.0.2.2", false);
        check("example.com", false);
        check("", false);
    }
}
