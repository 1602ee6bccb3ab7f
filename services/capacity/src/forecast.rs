//! When a pool runs out if usage goes on as it did: a straight line through the samples (least squares),
//! and the edges of the 95 % interval of its slope.

use chrono::{DateTime, TimeDelta, Utc};

/// What was used when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) time: DateTime<Utc>,
    pub(crate) bytes: i64,
}

/// When a pool runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forecast {
    pub(crate) growth_per_day: i64,
    /// Absent: not within [`HORIZON_DAYS`].
    pub(crate) exhaust_time: Option<DateTime<Utc>>,
    pub(crate) earliest: Option<DateTime<Utc>>,
    pub(crate) latest: Option<DateTime<Utc>>,
}

/// Less than this between the first sample and the last says nothing.
pub(crate) const SHORTEST: TimeDelta = TimeDelta::days(1);
const HORIZON_DAYS: i64 = 3653;
const DAY: i128 = 86_400;

/// The line, with sums kept exact: it goes through the middle of the samples.
struct Line {
    /// Bytes per second, as a fraction.
    slope: (i128, i128),
    middle_seconds: f64,
    middle_bytes: f64,
    /// Half the width of the slope's interval; absent where the samples do not tell.
    half_width: Option<f64>,
}

/// The forecast for a pool of this size; `None` where the samples are less than a day apart.
pub(crate) fn forecast(points: &[Point], entitled: i64, now: DateTime<Utc>) -> Option<Forecast> {
    let first = points.iter().map(|it| it.time).min()?;
    let last = points.iter().max_by_key(|it| it.time)?;
    if last.time - first < SHORTEST {
        return None;
    }
    let line = Line::through(points, first)?;
    let growth_per_day = per_day(line.slope);
    let slope = line.slope.0 as f64 / line.slope.1 as f64;
    let at = |slope: f64| {
        if last.bytes >= entitled {
            return Some(now);
        }
        let seconds = line.middle_seconds + (entitled as f64 - line.middle_bytes) / slope;
        within_horizon(slope, seconds, first, now)
    };
    let edge = |width: f64| at(slope + width);
    Some(Forecast {
        growth_per_day,
        exhaust_time: at(slope),
        earliest: line.half_width.and_then(edge),
        latest: line.half_width.and_then(|it| edge(-it)),
    })
}

/// The moment, if usage grows towards it and it is near enough.
fn within_horizon(
    slope: f64,
    seconds: f64,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let end = now + TimeDelta::days(HORIZON_DAYS);
    let horizon = (end - first).num_seconds() as f64;
    if slope <= 0.0 || !seconds.is_finite() || seconds > horizon {
        return None;
    }
    let moment = first + TimeDelta::seconds(seconds.round().max(0.0) as i64);
    Some(moment.max(now))
}

/// Rounded to the nearest byte.
fn per_day((bytes, seconds): (i128, i128)) -> i64 {
    let (whole, rest) = (bytes.div_euclid(seconds), bytes.rem_euclid(seconds));
    let rounded = whole.saturating_mul(DAY) + (rest * DAY + seconds / 2).div_euclid(seconds);
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

// === impl Line ===

impl Line {
    /// `None` where all samples are of one moment.
    fn through(points: &[Point], first: DateTime<Utc>) -> Option<Self> {
        let count = i128::try_from(points.len()).ok()?;
        let seconds = |it: &Point| i128::from((it.time - first).num_seconds());
        let sum = |of: &dyn Fn(&Point) -> i128| points.iter().map(of).sum::<i128>();
        let (x, y) = (sum(&seconds), sum(&|it| i128::from(it.bytes)));
        let xx = sum(&|it| seconds(it) * seconds(it));
        let xy = sum(&|it| seconds(it) * i128::from(it.bytes));
        let slope = (count * xy - x * y, count * xx - x * x);
        if slope.1 <= 0 {
            return None;
        }
        let middle_seconds = x as f64 / count as f64;
        let middle_bytes = y as f64 / count as f64;
        let rate = slope.0 as f64 / slope.1 as f64;
        let squares: f64 = points
            .iter()
            .map(|it| {
                let expected = middle_bytes + rate * (seconds(it) as f64 - middle_seconds);
                (it.bytes as f64 - expected).powi(2)
            })
            .sum();
        let freedom = points.len().saturating_sub(2);
        let spread = slope.1 as f64 / count as f64;
        let half_width =
            (freedom > 0).then(|| student(freedom) * (squares / freedom as f64 / spread).sqrt());
        Some(Self { slope, middle_seconds, middle_bytes, half_width })
    }
}

/// Quantile 0.975 of Student's distribution.
fn student(freedom: usize) -> f64 {
    const SMALL: [f64; 10] =
        [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281];
    let small = freedom.checked_sub(1).and_then(|it| SMALL.get(it));
    small.copied().unwrap_or_else(|| {
        // Expanded around the normal distribution's: right to the third decimal from here on.
        let (z, n) = (1.959_964_f64, freedom as f64);
        z + (z.powi(3) + z) / (4.0 * n)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * n.powi(2))
            + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z)
                / (384.0 * n.powi(3))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn points(values: &[(i64, i64)]) -> Vec<Point> {
        values.iter().map(|&(hours, bytes)| Point { time: at(hours), bytes }).collect()
    }

    #[test]
    fn a_straight_line() {
        // 100 bytes more each day, 300 at the end of day 3; 1000 on day 10.
        let line = points(&[(0, 0), (24, 100), (48, 200), (72, 300)]);
        let it = forecast(&line, 1000, at(72)).unwrap();
        assert_eq!(it.growth_per_day, 100);
        assert_eq!(it.exhaust_time, Some(at(240)));
        assert_eq!((it.earliest, it.latest), (Some(at(240)), Some(at(240))));
    }

    #[test]
    fn a_scattered_series() {
        // By hand, days and bytes: x = 0..4, y = 10, 30, 20, 40, 50. Mean x 2, mean y 30, Sxy 90, Sxx 10:
        // slope 9, so 120 = 30 + 9 (t - 2) at t = 12. Residuals -2, 9, -10, 1, 2: SSE 190, s² 63.33,
        // error of the slope 2.5166; t(3) 3.1824: 9 ± 8.0089. Edges 17.0089 and 0.9911:
        // 2 + 90 / 17.0089 = 7.2914 days and 2 + 90 / 0.9911 = 92.81 days.
        let series = points(&[(0, 10), (24, 30), (48, 20), (72, 40), (96, 50)]);
        let it = forecast(&series, 120, at(96)).unwrap();
        assert_eq!(it.growth_per_day, 9);
        assert_eq!(it.exhaust_time, Some(at(12 * 24)));
        let days =
            |it: Option<DateTime<Utc>>| (it.unwrap() - at(0)).num_seconds() as f64 / 86_400.0;
        assert!((days(it.earliest) - 7.2914).abs() < 0.001, "{}", days(it.earliest));
        assert!((days(it.latest) - 92.81).abs() < 0.05, "{}", days(it.latest));
    }

    #[test]
    fn what_never_runs_out() {
        let shrinking = points(&[(0, 300), (24, 200), (48, 100)]);
        let it = forecast(&shrinking, 1000, at(48)).unwrap();
        assert_eq!((it.growth_per_day, it.exhaust_time), (-100, None));
        assert_eq!((it.earliest, it.latest), (None, None));
        let constant = points(&[(0, 300), (24, 300), (48, 300)]);
        let it = forecast(&constant, 1000, at(48)).unwrap();
        assert_eq!((it.growth_per_day, it.exhaust_time), (0, None));
        // One byte a day: 3,653 days are within ten years, 3,660 are not.
        let slow = points(&[(0, 0), (24, 1), (48, 2)]);
        assert!(forecast(&slow, 3650, at(48)).unwrap().exhaust_time.is_some());
        assert_eq!(forecast(&slow, 3660, at(48)).unwrap().exhaust_time, None);
    }

    #[test]
    fn what_has_run_out_has_run_out_now() {
        let series = points(&[(0, 100), (24, 200), (48, 300)]);
        for entitled in [0, 300] {
            let it = forecast(&series, entitled, at(50)).unwrap();
            assert_eq!(it.exhaust_time, Some(at(50)));
        }
    }

    #[test]
    fn too_few_samples() {
        assert_eq!(forecast(&[], 10, at(0)), None);
        assert_eq!(forecast(&points(&[(0, 1)]), 10, at(0)), None);
        assert_eq!(forecast(&points(&[(0, 1), (23, 2)]), 10, at(23)), None);
        let two = forecast(&points(&[(0, 1), (24, 2)]), 10, at(24)).unwrap();
        assert_eq!((two.growth_per_day, two.exhaust_time), (1, Some(at(9 * 24))));
        assert_eq!((two.earliest, two.latest), (None, None), "two samples always are on a line");
    }

    #[test]
    fn quantiles() {
        for (freedom, expected) in [(1, 12.706), (11, 2.201), (30, 2.042), (10_000, 1.960)] {
            assert!((student(freedom) - expected).abs() < 0.001, "{freedom}");
        }
    }

    proptest! {
        #[test]
        fn the_interval_is_around_the_forecast(
            values in prop::collection::vec(0..1_i64 << 50, 3..60), entitled in 0..1_i64 << 52,
        ) {
            let series: Vec<_> = values
                .iter()
                .zip(0..)
                .map(|(&bytes, i)| Point { time: at(i * 24), bytes })
                .collect();
            let it = forecast(&series, entitled, at(60 * 24)).unwrap();
            if let Some(time) = it.exhaust_time {
                prop_assert!(it.earliest.is_some_and(|earliest| earliest <= time));
                prop_assert!(it.latest.is_none_or(|latest| time <= latest));
            }
        }
    }
}
