//! `Prefer`: what a client would like, and what of it is applied.

use axum::http::HeaderMap;

/// Rows of a page at most.
pub(crate) const MAX_PAGE_SIZE: i32 = 5_000;

/// Preferences that mean something here; others are not preferences of ours to apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    /// 1 to [`MAX_PAGE_SIZE`].
    pub(crate) max_page_size: Option<i32>,
    pub(crate) annotations: Annotations,
    /// `IEEE754Compatible=true` of the `Accept` header: 64-bit integers and decimals as strings.
    pub(crate) numbers_as_strings: bool,
    /// `tombolo.explain`: how rows would be read, instead of the rows.
    pub(crate) explain: bool,
    /// `return=representation`: the row that was written.
    pub(crate) representation: bool,
    /// `odata.track-changes`: a link to what changes from now on.
    pub(crate) track_changes: bool,
    /// `respond-async`: an answer before the work is done.
    pub(crate) respond_async: bool,
    /// `odata.callback;url="…"`: who is told when it is.
    pub(crate) callback: Option<String>,
    annotation_list: String,
}

/// Which annotations a client wants, as it said in `odata.include-annotations`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Annotations(Vec<String>);

impl Annotations {
    /// A comma-separated list of names, each of which may end in `*`.
    pub(crate) fn parse(list: &str) -> Self {
        Self(list.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect())
    }

    pub(crate) fn includes(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Preferences {
    /// Reads every `Prefer` header. What makes no sense is not applied.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all("accept").iter().filter_map(|it| it.to_str().ok());
        let numbers_as_strings = accepted
            .flat_map(|it| it.split([';', ',']))
            .any(|it| it.trim().eq_ignore_ascii_case("IEEE754Compatible=true"));
        let mut preferences = Self { numbers_as_strings, ..Self::default() };
        let lines = headers.get_all("prefer").iter().filter_map(|it| it.to_str().ok());
        for preference in lines.flat_map(split_outside_quotes) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            let name = name.to_ascii_lowercase().replace([' ', '\t'], "");
            match name.as_str() {
                "odata.maxpagesize" | "maxpagesize" => {
                    let size = value.parse::<u64>().ok().filter(|it| *it > 0);
                    let clamped = |it| i32::try_from(it).unwrap_or(i32::MAX).min(MAX_PAGE_SIZE);
                    preferences.max_page_size = size.map(clamped);
                }
                "odata.include-annotations" | "include-annotations" => {
                    preferences.annotations = Annotations::parse(value);
                    preferences.annotation_list = value.to_owned();
                }
                "odata.track-changes" | "track-changes" => preferences.track_changes = true,
                "respond-async" => preferences.respond_async = true,
                "odata.callback;url" | "callback;url" => {
                    preferences.callback = Some(value.trim_matches('\'').to_owned())
                }
                "tombolo.explain" => preferences.explain = true,
                "return" => {
                    preferences.representation = value.eq_ignore_ascii_case("representation");
                }
                _ => {}
            }
        }
        preferences
    }

    /// The `Preference-Applied` of an answer; `paged` if it has pages.
    pub(crate) fn applied(&self, paged: bool) -> Option<String> {
        let mut applied = Vec::new();
        if let Some(size) = self.max_page_size.filter(|_| paged) {
            applied.push(format!("odata.maxpagesize={size}"));
        }
        if !self.annotations.is_empty() {
            applied.push(format!("odata.include-annotations=\"{}\"", self.annotation_list));
        }
        (!applied.is_empty()).then(|| applied.join(","))
    }
}

fn split_outside_quotes(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |it| {
        quoted ^= it == '"';
        !quoted && it == ','
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn parse(lines: &[&'static str]) -> Preferences {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("prefer", HeaderValue::from_static(line));
        }
        Preferences::parse(&headers)
    }

    #[test]
    fn preferences_come_in_many_forms() {
        let check = |lines: &[&'static str], applied: Option<&str>| {
            assert_eq!(parse(lines).applied(true).as_deref(), applied, "{lines:?}");
        };
        check(&[], None);
        check(&["odata.maxpagesize=2"], Some("odata.maxpagesize=2"));
        check(&["maxpagesize=\"2\""], Some("odata.maxpagesize=2"));
        check(&["odata.maxpagesize=9999999999"], Some("odata.maxpagesize=5000"));
        check(&["odata.maxpagesize=0"], None);
        check(&["odata.maxpagesize=-1"], None);
        check(&["odata.maxpagesize=two, respond-async"], None);
        check(
            &["odata.maxpagesize=2,odata.include-annotations=\"A.*,B.c\""],
            Some("odata.maxpagesize=2,odata.include-annotations=\"A.*,B.c\""),
        );
        check(
            &["odata.include-annotations=*", "Odata.MaxPageSize = 3"],
            Some("odata.maxpagesize=3,odata.include-annotations=\"*\""),
        );
        assert_eq!(parse(&["odata.maxpagesize=2"]).applied(false), None);
    }

    #[test]
    fn who_would_rather_not_wait_says_so_and_whom_to_tell() {
        let check = |lines: &[&'static str], later: bool, callback: Option<&str>| {
            let found = parse(lines);
            assert_eq!((found.respond_async, found.callback.as_deref()), (later, callback));
        };
        check(&["return=representation"], false, None);
        check(&["respond-async"], true, None);
        let url = Some("https://h/a?b=c,d");
        check(&["Respond-Async, odata.callback; url=\"https://h/a?b=c,d\""], true, url);
        check(&["respond-async", "odata.callback;url='https://h/'"], true, Some("https://h/"));
    }

    #[test]
    fn annotation_patterns_match_names_and_prefixes() {
        let wanted =
            parse(&["odata.include-annotations=\"OData.Community.*,Microsoft.x\""]).annotations;
        assert!(wanted.includes("OData.Community.Display.V1.FormattedValue"));
        assert!(wanted.includes("Microsoft.x"));
        assert!(!wanted.includes("Microsoft.xy"));
        assert!(!Annotations::default().includes("anything"));
    }
}
