//! Versions that can be compared: `10.0.7` is less than `10.0.40`.

/// Numbers between dots; trailing zeros say nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(Vec<u64>);

impl Version {
    /// `None` for what is no version.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        let number = |it: &str| digits(it).then(|| it.parse().ok()).flatten();
        let mut numbers = text.split('.').map(number).collect::<Option<Vec<u64>>>()?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some(Self(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let version = |it| Version::parse(it).unwrap();
        assert!(version("10.0.7") < version("10.0.40"));
        assert!(version("10.1") > version("10.0.40"));
        assert_eq!(version("10"), version("10.0.0"));
        for none in ["", "10.", "a", "10.0.7-beta", "+1", "99999999999999999999999"] {
            assert_eq!(Version::parse(none), None, "{none}");
        }
    }
}
