//! Where windows of the calendar end, UTC.

use time::{Date, OffsetDateTime};

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds from `unix` to the end of its window, of those that begin at `offset` and each `period` after it.
pub(super) fn left(unix: u64, period: u64, offset: u64) -> u64 {
    let offset = offset % period;
    let into = (unix % period + period - offset) % period;
    period - into
}

/// Nanoseconds from `unix` to the end of its month, of those that begin `offset` after the first.
pub(super) fn left_of_month(unix: u64, offset: u64) -> u64 {
    let shifted = unix.saturating_sub(offset);
    next_month(shifted).saturating_sub(shifted)
}

/// When the month after that of `unix` begins; beyond the year 9999, the end of time.
fn next_month(unix: u64) -> u64 {
    let next = || {
        let today = OffsetDateTime::from_unix_timestamp((unix / SECOND).cast_signed()).ok()?;
        let month = today.month().next();
        let year = today.year() + i32::from(month == time::Month::January);
        let first = Date::from_calendar_date(year, month, 1).ok()?;
        u64::try_from(first.midnight().assume_utc().unix_timestamp()).ok()?.checked_mul(SECOND)
    };
    next().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400 * SECOND;

    fn at(year: i32, month: u8, day: u8, hour: u8) -> u64 {
        let date = Date::from_calendar_date(year, month.try_into().unwrap(), day).unwrap();
        let time = date.with_hms(hour, 0, 0).unwrap().assume_utc();
        u64::try_from(time.unix_timestamp_nanos()).unwrap()
    }

    #[test]
    fn days_end_at_midnight_or_at_the_hour_that_is_chosen() {
        let nine = 9 * 3_600 * SECOND;
        assert_eq!(left(at(2024, 2, 29, 0), DAY, 0), DAY);
        assert_eq!(left(at(2024, 2, 29, 23), DAY, 0), 3_600 * SECOND);
        assert_eq!(left(at(2024, 2, 29, 8), DAY, nine), 3_600 * SECOND);
        assert_eq!(left(at(2024, 2, 29, 9), DAY, nine), DAY);
        assert_eq!(left(0, DAY, nine), nine, "before the first window");
    }

    #[test]
    fn months_have_their_own_lengths() {
        let days = |year, month, day| left_of_month(at(year, month, day, 0), 0) / DAY;
        assert_eq!(days(2024, 2, 1), 29);
        assert_eq!(days(2023, 2, 1), 28);
        assert_eq!(days(2100, 2, 28), 1, "no leap year");
        assert_eq!(days(2024, 12, 31), 1);
        assert_eq!(left_of_month(at(2024, 3, 1, 0) - 1, 0), 1);
    }

    #[test]
    fn a_month_may_begin_on_the_fifteenth() {
        let left = |month, day| left_of_month(at(2023, month, day, 0), 14 * DAY) / DAY;
        assert_eq!([left(3, 14), left(3, 15), left(2, 15)], [1, 31, 28]);
    }

    #[test]
    fn no_time_is_out_of_range() {
        for unix in [0, 1, u64::MAX - 1, u64::MAX] {
            for offset in [0, 1, DAY, u64::MAX / 4] {
                assert!(left(unix, DAY, offset) > 0);
                left_of_month(unix, offset);
            }
        }
    }
}
