//! Usage over time in a line of characters.

use std::iter::repeat_n;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The values from left to right, the smallest lowest; of several in one column, the last.
pub(super) fn line(values: &[i64], width: usize) -> String {
    let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) else {
        return String::new();
    };
    let columns = values.len().min(width);
    if high == low {
        return repeat_n(LEVELS[0], columns).collect();
    }
    let range = i128::from(high) - i128::from(low);
    let level = |value: i64| {
        let above = i128::from(value) - i128::from(low);
        let index = usize::try_from(above * 7 / range).unwrap_or_default();
        LEVELS.get(index).copied().unwrap_or(LEVELS[0])
    };
    let column = |it: usize| values.get((it + 1) * values.len() / columns - 1).copied();
    (0..columns).filter_map(column).map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_rise_with_their_size() {
        assert_eq!(line(&[0, 1, 2, 3, 4, 5, 6, 7], 8), "▁▂▃▄▅▆▇█");
        assert_eq!(line(&[i64::MIN, 0, i64::MAX], 8), "▁▄█");
    }

    #[test]
    fn many_values_share_the_width() {
        assert_eq!(line(&[0, 0, 0, 7, 7, 7], 2), "▁█");
        assert_eq!(line(&(0..1_000).collect::<Vec<_>>(), 60).chars().count(), 60);
    }

    #[test]
    fn what_never_changes_is_flat() {
        assert_eq!(line(&[5, 5], 8), "▁▁");
        assert_eq!(line(&[], 8), "");
    }
}
