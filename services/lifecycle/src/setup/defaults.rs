//! What a new database gets where nobody chooses (spec PPI-14).

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Where nothing is known of the tenant's country.
const FALLBACK: (&str, &str) = ("en-us", "USD");

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

/// Host names for the database of this ERP, the best first: its own, then with a number.
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
    fn a_host_that_is_taken_gets_a_number() {
        let first = |id| host_names(id).take(3).collect::<Vec<_>>();
        assert_eq!(first("contoso"), ["contoso", "contoso-2", "contoso-3"]);
    }
}
