//! Languages by their tags, as organizations number them.

/// Tags in lower case, and LCIDs.
#[rustfmt::skip]
const LANGUAGES: [(&str, i32); 74] = [
    ("ar-sa", 1025), ("bg-bg", 1026), ("ca-es", 1027), ("zh-tw", 1028), ("cs-cz", 1029), ("da-dk", 1030),
    ("de-de", 1031), ("el-gr", 1032), ("en-us", 1033), ("fi-fi", 1035), ("fr-fr", 1036), ("he-il", 1037),
    ("hu-hu", 1038), ("is-is", 1039), ("it-it", 1040), ("ja-jp", 1041), ("ko-kr", 1042), ("nl-nl", 1043),
    ("nb-no", 1044), ("pl-pl", 1045), ("pt-br", 1046), ("ro-ro", 1048), ("ru-ru", 1049), ("hr-hr", 1050),
    ("sk-sk", 1051), ("sv-se", 1053), ("th-th", 1054), ("tr-tr", 1055), ("id-id", 1057), ("uk-ua", 1058),
    ("sl-si", 1060), ("et-ee", 1061), ("lv-lv", 1062), ("lt-lt", 1063), ("vi-vn", 1066), ("eu-es", 1069),
    ("hi-in", 1081), ("ms-my", 1086), ("kk-kz", 1087), ("gl-es", 1110), ("zh-cn", 2052), ("de-ch", 2055),
    ("en-gb", 2057), ("es-mx", 2058), ("fr-be", 2060), ("it-ch", 2064), ("nl-be", 2067), ("pt-pt", 2070),
    ("ar-eg", 3073), ("zh-hk", 3076), ("de-at", 3079), ("en-au", 3081), ("es-es", 3082), ("fr-ca", 3084),
    ("zh-sg", 4100), ("de-lu", 4103), ("en-ca", 4105), ("fr-ch", 4108), ("en-nz", 5129), ("fr-lu", 5132),
    ("en-ie", 6153), ("en-za", 7177), ("es-co", 9226), ("sr-latn-rs", 9242), ("es-pe", 10250),
    ("sr-cyrl-rs", 10266), ("es-ar", 11274), ("en-ph", 13321), ("es-cl", 13322), ("ar-ae", 14337),
    ("en-hk", 15369), ("en-in", 16393), ("en-my", 17417), ("en-sg", 18441),
];

/// The LCID of a tag such as `en-us`.
pub(crate) fn lcid(tag: &str) -> Option<i32> {
    LANGUAGES.iter().find(|it| it.0.eq_ignore_ascii_case(tag)).map(|it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_their_tags() {
        assert_eq!(lcid("en-us"), Some(1033));
        assert_eq!(lcid("de-DE"), Some(1031));
        assert_eq!(lcid("tlh"), None);
        let mut numbers = LANGUAGES.map(|it| it.1).to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), LANGUAGES.len());
    }
}
