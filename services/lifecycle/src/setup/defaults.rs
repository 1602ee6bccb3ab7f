//! What a new database gets where nobody chooses (spec PPI-14).

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Where nothing is known of the tenant's country.
const FALLBACK: (&str, &str) = ("en-us", "USD");
/// Of an environment whose display name has nothing that a host could be made of.
const ANY_HOST: &str = "environment";
/// With a number it is still a label.
const LONGEST_HOST: usize = 50;

// A test reads the file, so that it is never a broken one.
static COUNTRIES: LazyLock<BTreeMap<String, (String, String)>> =
    LazyLock::new(|| toml::from_str(include_str!("countries.toml")).unwrap_or_default());

/// Language and currency in a country.
pub(crate) fn of_country(code: &str) -> (&'static str, &'static str) {
    match COUNTRIES.get(code) {
        Some((language, currency)) => (language, currency),
        None => FALLBACK,
    }
}

/// Whether something is known of a country.
pub(crate) fn is_country(code: &str) -> bool {
    COUNTRIES.contains_key(code)
}

/// A host name like what people call an environment; numbers fit behind it.
pub(crate) fn host_of(display_name: &str) -> String {
    let words = display_name.split(|it: char| !it.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|it| !it.is_empty()).collect();
    let host = words.join("-").to_ascii_lowercase();
    let host = host.trim_start_matches(|it: char| !it.is_ascii_lowercase());
    let host = host.get(..LONGEST_HOST.min(host.len())).unwrap_or_default().trim_end_matches('-');
    if host.is_empty() { ANY_HOST.to_owned() } else { host.to_owned() }
}

/// Host names for a database, the best first: this one, then with a number.
pub(crate) fn host_names(id: &str) -> impl Iterator<Item = String> + Send {
    let numbered = (2..1_000).map(move |number| format!("{id}-{number}"));
    std::iter::once(id.to_owned()).chain(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_a_language_and_a_currency() {
        let countries: BTreeMap<String, (String, String)> =
            toml::from_str(include_str!("countries.toml")).unwrap();
        assert!(countries.len() > 50);
        for (code, (language, currency)) in countries {
            assert!(code.len() == 2 && currency.len() == 3, "{code}");
            assert!(language.ends_with(&format!("-{}", code.to_lowercase())), "{code} {language}");
        }
        assert_eq!(of_country("US"), ("en-us", "USD"));
        assert_eq!(of_country("CH"), ("de-ch", "CHF"));
        assert_eq!(of_country("XX"), FALLBACK);
    }

    #[test]
    fn a_host_is_made_of_a_display_name() {
        for (display_name, host) in [
            ("Bare", "bare"),
            ("  Contoso UAT (2) ", "contoso-uat-2"),
            ("365 days", "days"),
            ("日本", "environment"),
            ("Größe", "gr-e"),
            (&format!("{} b", "a".repeat(49)), &"a".repeat(49)),
        ] {
            assert_eq!(host_of(display_name), host);
        }
    }

    #[test]
    fn a_host_that_is_taken_gets_a_number() {
        let first = |id| host_names(id).take(3).collect::<Vec<_>>();
        assert_eq!(first("contoso"), ["contoso", "contoso-2", "contoso-3"]);
    }
}
